import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RandomStream } from '@luthier/contracts';
import { writeTinyChatModel } from '../../../test/fixtures/tiny-llama.js';
import { isFormatError } from './format-error.js';
import { ggufToHuggingFace } from './gguf/gguf-to-hugging-face.js';
import { GGUF_MAGIC } from './gguf/gguf-types.js';
import { huggingFaceToGguf } from './gguf/hugging-face-to-gguf.js';
import { openGguf } from './gguf/read-gguf.js';
import { openSafetensors } from './safetensors/read-safetensors.js';

const MIB = 1024 ** 2;
/** More than any of these files of a few hundred KiB may cost while it is read, with room for what was not yet collected. */
const MEMORY_MIB = 192;
const FUZZED = 150;

let dir = '';
let gguf: Buffer;
let safetensors: Buffer;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hostile-'));
  const modelDir = join(dir, 'model');
  await writeTinyChatModel(modelDir, { layers: 1 });
  await huggingFaceToGguf({ modelDir, ggufPath: join(dir, 'good.gguf') });
  gguf = await readFile(join(dir, 'good.gguf'));
  safetensors = await readFile(join(modelDir, 'model.safetensors'));
});
afterAll(async () => rm(dir, { recursive: true, force: true }));

/** Undefined for a valid file; the error must be one of this package's. */
async function refusal(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (thrown) {
    if (!isFormatError(thrown)) throw thrown;
    return thrown.code;
  }
}

async function readAll(kind: 'gguf' | 'safetensors', bytes: Uint8Array): Promise<string | undefined> {
  const path = join(dir, `hostile.${kind}`);
  await writeFile(path, bytes);
  if (kind === 'gguf') return refusal(() => ggufToHuggingFace({ ggufPath: path, outDir: join(dir, 'out') }));
  return refusal(async () => {
    const file = await openSafetensors(path);
    for (const name of file.tensors.keys()) await file.readFloat32(name);
  });
}

/** GGUF's little-endian pieces, in the order given. */
function ggufOf(...parts: (number | bigint | string)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'string') return Buffer.concat([ggufOf(BigInt(Buffer.byteLength(part))), Buffer.from(part)]);
      const bytes = Buffer.alloc(typeof part === 'bigint' ? 8 : 4);
      if (typeof part === 'bigint') bytes.writeBigUInt64LE(part);
      else bytes.writeUInt32LE(part);
      return bytes;
    }),
  );
}
/** A file with one tensor of these dimensions and this type at this offset. */
const withTensor = (dimensions: bigint[], type: number, offset: bigint, again = false): Buffer => {
  const tensor = (): Buffer => ggufOf('w', dimensions.length, ...dimensions, type, offset);
  const count = again ? 2n : 1n;
  return Buffer.concat([ggufOf(GGUF_MAGIC, 3, count, 0n), tensor(), ...(again ? [tensor()] : []), Buffer.alloc(4_096)]);
};
const header = (json: string, data = 0): Buffer =>
  Buffer.concat([ggufOf(BigInt(Buffer.byteLength(json))), Buffer.from(json), Buffer.alloc(data)]);
const f32 = (shape: string, offsets: string): string =>
  `{"w":{"dtype":"F32","shape":${shape},"data_offsets":${offsets}}}`;

describe('a hostile GGUF header is refused', () => {
  it.each([
    ['huge dimensions', withTensor([1n << 62n], 0, 0n), 'format.too-large'],
    ['dimensions whose product overflows', withTensor([1n << 31n, 1n << 31n], 0, 0n), 'format.out-of-bounds'],
    ['no elements', withTensor([0n, 4n], 0, 0n), 'format.out-of-bounds'],
    ['rows that are no whole blocks', withTensor([33n, 2n], 8, 0n), 'format.out-of-bounds'],
    ['an offset beyond the file', withTensor([4n], 0, 1n << 40n), 'format.out-of-bounds'],
    ['an offset that is not aligned', withTensor([4n], 0, 3n), 'format.out-of-bounds'],
    ['one name twice', withTensor([4n], 0, 0n, true), 'format.duplicate'],
    ['a type that is not read, by its name', withTensor([256n], 23, 0n), 'format.unsupported'],
    ['a giant text', ggufOf(GGUF_MAGIC, 3, 0n, 1n, 1n << 50n), 'format.too-large'],
    ['a giant list', ggufOf(GGUF_MAGIC, 3, 0n, 1n, 'k', 9, 8, 1n << 40n), 'format.too-large'],
    ['lists in lists', ggufOf(GGUF_MAGIC, 3, 0n, 1n, 'k', 9, 9, 1n, 9, 1n), 'format.unsupported'],
    ['more tensors than there can be', ggufOf(GGUF_MAGIC, 3, 1n << 40n, 0n), 'format.too-large'],
    [
      'a text that is not UTF-8',
      Buffer.concat([ggufOf(GGUF_MAGIC, 3, 0n, 1n, 2n), Buffer.of(0xc3, 0x28, 0, 0, 0, 0)]),
      'format.invalid-utf8',
    ],
    ['a header that ends early', ggufOf(GGUF_MAGIC, 3, 1n, 0n, 'w'), 'format.truncated'],
  ])('for %s', async (_what, bytes, code) => {
    expect(await readAll('gguf', bytes)).toBe(code);
  });

  it('only for a reason: a long list of empty texts is read, in bounded memory', async () => {
    const path = join(dir, 'sparse.gguf');
    // Texts of no bytes: eight bytes of file become an element each.
    await writeFile(path, ggufOf(GGUF_MAGIC, 3, 0n, 1n, 'k', 9, 8, 499_999n));
    await truncate(path, 5 * MIB);
    const before = process.memoryUsage().rss;
    expect(await refusal(() => openGguf(path))).toBeUndefined();
    expect((process.memoryUsage().rss - before) / MIB).toBeLessThan(MEMORY_MIB);
  });
});

describe('a hostile safetensors header is refused', () => {
  it.each([
    ['huge dimensions', header(f32('[9007199254740991,9]', '[0,8]'), 8), 'format.out-of-bounds'],
    ['negative dimensions', header(f32('[-2]', '[0,8]'), 8), 'format.out-of-bounds'],
    ['offsets beyond the file', header(f32('[4]', '[0,16]'), 8), 'format.out-of-bounds'],
    ['offsets that do not fit the shape', header(f32('[4]', '[0,8]'), 8), 'format.malformed'],
    ['a hole between tensors', header(f32('[1]', '[4,8]'), 8), 'format.out-of-bounds'],
    ['one name twice', header('{"w":{},"w":{}}'), 'format.duplicate'],
    ['deep nesting', header(`{"w":${'['.repeat(100_000)}`), 'format.malformed'],
    ['a length beyond the file', ggufOf(1n << 20n), 'format.truncated'],
    ['a giant length', ggufOf(1n << 60n), 'format.too-large'],
    ['bytes that are not UTF-8', Buffer.concat([ggufOf(3n), Buffer.of(0x7b, 0xff, 0x7d)]), 'format.invalid-utf8'],
  ])('for %s', async (_what, bytes, code) => {
    expect(await readAll('safetensors', bytes)).toBe(code);
  });
});

describe('changed at random', () => {
  /** Flipped bits, bytes and numbers of extreme values over the header, or a cut. */
  function changed(good: Buffer, seed: number, headerBytes: number): Buffer {
    const random = new RandomStream(seed, 'hostile').uniform(64);
    let next = 0;
    const pick = (below: number): number => Math.floor((random[next++] ?? 0) * below);
    const bytes = Buffer.from(good);
    for (let edits = 1 + pick(3); edits > 0; edits -= 1) {
      const at = pick(Math.min(headerBytes, bytes.length - 8));
      const kind = pick(4);
      if (kind === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << pick(8));
      else if (kind === 1) bytes[at] = pick(256);
      else if (kind === 2) bytes.writeUInt32LE([0, 1, 0x7fffffff, 0xffffffff][pick(4)] ?? 0, at);
      else bytes.writeBigUInt64LE([0n, 1n << 31n, (1n << 53n) - 1n, (1n << 64n) - 1n][pick(4)] ?? 0n, at);
    }
    return pick(8) === 0 ? bytes.subarray(0, pick(bytes.length)) : bytes;
  }

  it.each(['gguf', 'safetensors'] as const)(
    'a %s file ends in a FormatError or a valid result, in bounded memory',
    async (kind) => {
      const good = kind === 'gguf' ? gguf : safetensors;
      const headerBytes = kind === 'gguf' ? 9_000 : Number(good.readBigUInt64LE()) + 8;
      const outcomes = new Set<string>();
      let largest = 0;
      const before = process.memoryUsage().rss;
      for (let seed = 0; seed < FUZZED; seed += 1) {
        outcomes.add((await readAll(kind, changed(good, seed, headerBytes))) ?? 'valid');
        largest = Math.max(largest, process.memoryUsage().rss - before);
      }
      expect(largest / MIB).toBeLessThan(MEMORY_MIB);
      // The seeds reach both ends, and more than one check.
      expect(outcomes.size).toBeGreaterThan(3);
      expect(outcomes).toContain('valid');
    },
  );
});

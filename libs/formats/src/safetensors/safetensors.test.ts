import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FormatError } from '../format-error.js';
import { fromFloat32, roundToBfloat16, toFloat32 } from './float.js';
import { openSafetensors } from './read-safetensors.js';
import { openSafetensorsModel } from './safetensors-model.js';
import { writeSafetensors } from './write-safetensors.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'safetensors-'));
});
afterAll(async () => rm(dir, { recursive: true, force: true }));

/** A file with an arbitrary header text or bytes and `dataBytes` bytes of data. */
async function craft(header: string | Uint8Array, dataBytes = 0, claimed?: bigint): Promise<string> {
  const json = Buffer.from(header as string);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(claimed ?? BigInt(json.length));
  const path = join(dir, `crafted-${Math.random()}.safetensors`);
  await writeFile(path, Buffer.concat([prefix, json, Buffer.alloc(dataBytes)]));
  return path;
}
const entry = (shape: unknown, offsets: unknown, dtype = 'U8'): unknown => ({ dtype, shape, data_offsets: offsets });
async function codeOf(path: string): Promise<string> {
  try {
    await openSafetensors(path);
    return 'accepted';
  } catch (error) {
    return error instanceof FormatError ? error.code : `not typed: ${String(error)}`;
  }
}

describe('safetensors', () => {
  it('returns every tensor byte for byte, aligned and by falling element size', async () => {
    const path = join(dir, 'a.safetensors');
    const bytes = Uint8Array.of(1, 2, 3);
    const longs = BigInt64Array.of(5n, -6n);
    const floats = Float32Array.of(1.5, -2, 0.25);
    const written = await writeSafetensors(
      path,
      [
        { name: 'bytes', dtype: 'U8', shape: [3], data: bytes },
        { name: 'floats', dtype: 'F32', shape: [3, 1], data: () => [floats.subarray(0, 1), floats.subarray(1)] },
        { name: 'longs', dtype: 'I64', shape: [2], data: async () => longs },
        { name: 'empty', dtype: 'F32', shape: [0, 4], data: new Float32Array(0) },
      ],
      { format: 'pt' },
      { fsync: true },
    );
    const file = await openSafetensors(path);
    expect([...file.tensors.values()].map((t) => t.name)).toEqual(['longs', 'floats', 'empty', 'bytes']);
    expect(file.metadata).toEqual({ format: 'pt' });
    expect(file.dataOffset % 8).toBe(0);
    expect(file.get('floats').offset % 4).toBe(0);
    expect(await file.readFloat32('floats')).toEqual(floats);
    expect([...(await file.read('bytes'))]).toEqual([1, 2, 3]);
    expect([...(await file.readRange('bytes', 1, 2))]).toEqual([2]);
    expect(new BigInt64Array((await file.read('longs')).slice().buffer)).toEqual(longs);
    expect((await readFile(path)).length).toBe(written.sizeBytes);
    await expect(file.read('absent')).rejects.toMatchObject({ code: 'format.missing' });
    await expect(file.readRange('bytes', 2, 4)).rejects.toMatchObject({ code: 'format.out-of-bounds' });
  });

  it('leaves no file behind when a tensor has the wrong number of bytes', async () => {
    const before = await readdir(dir);
    const tensor = { name: 'x', dtype: 'F32', shape: [4], data: new Float32Array(3) } as const;
    await expect(writeSafetensors(join(dir, 'bad.safetensors'), [tensor])).rejects.toMatchObject({
      code: 'format.invalid-input',
    });
    expect(await readdir(dir)).toEqual(before);
  });

  it.each([
    [
      'an empty file',
      async () => {
        const p = join(dir, 'empty');
        await writeFile(p, '');
        return p;
      },
      'format.truncated',
    ],
    ['a header that claims 2^63 bytes', async () => craft('{}', 0, 1n << 63n), 'format.too-large'],
    ['a header longer than the file', async () => craft('{}', 0, 1000n), 'format.truncated'],
    [
      'a header that is not UTF-8',
      async () => craft(Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d)),
      'format.invalid-utf8',
    ],
    ['a header that is not JSON', async () => craft('{"a":'), 'format.malformed'],
    ['a list as header', async () => craft('[]'), 'format.malformed'],
    ['deep nesting', async () => craft(`{"a":${'['.repeat(100_000)}`), 'format.malformed'],
    [
      'two tensors of one name',
      async () =>
        craft(
          '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
        ),
      'format.duplicate',
    ],
    [
      'an unknown element type',
      async () => craft(JSON.stringify({ a: entry([1], [0, 1], 'F3') }), 1),
      'format.unsupported',
    ],
    [
      'dimensions whose product overflows',
      async () => craft(JSON.stringify({ a: entry([2 ** 40, 2 ** 40], [0, 1]) }), 1),
      'format.out-of-bounds',
    ],
    ['a negative dimension', async () => craft(JSON.stringify({ a: entry([-1], [0, 1]) }), 1), 'format.out-of-bounds'],
    [
      'a fractional dimension',
      async () => craft(JSON.stringify({ a: entry([0.5], [0, 1]) }), 1),
      'format.out-of-bounds',
    ],
    ['text as dimension', async () => craft(JSON.stringify({ a: entry(['1'], [0, 1]) }), 1), 'format.out-of-bounds'],
    [
      'offsets beyond the file',
      async () => craft(JSON.stringify({ a: entry([9], [0, 9]) }), 1),
      'format.out-of-bounds',
    ],
    [
      'offsets that run backwards',
      async () => craft(JSON.stringify({ a: entry([0], [1, 0]) }), 1),
      'format.out-of-bounds',
    ],
    [
      'offsets that do not match the shape',
      async () => craft(JSON.stringify({ a: entry([2], [0, 1]) }), 1),
      'format.malformed',
    ],
    [
      'overlapping tensors',
      async () => craft(JSON.stringify({ a: entry([2], [0, 2]), b: entry([2], [1, 3]) }), 3),
      'format.out-of-bounds',
    ],
    [
      'a hole between tensors',
      async () => craft(JSON.stringify({ a: entry([1], [0, 1]), b: entry([1], [2, 3]) }), 3),
      'format.out-of-bounds',
    ],
    [
      'bytes that belong to no tensor',
      async () => craft(JSON.stringify({ a: entry([1], [0, 1]) }), 2),
      'format.out-of-bounds',
    ],
    ['metadata that is not text', async () => craft('{"__metadata__":{"a":1}}'), 'format.malformed'],
  ])('refuses %s with a typed error', async (_what, make, code) => {
    expect(await codeOf(await make())).toBe(code);
  });

  it('never fails untyped, whatever bytes are changed or cut off', async () => {
    const good = await readFile(join(dir, 'a.safetensors'));
    const path = join(dir, 'mutated');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 }),
        fc.nat(good.length),
        async (changes, cut) => {
          const bytes = Buffer.from(good);
          for (const [at, value] of changes) bytes[at] = value;
          await writeFile(path, bytes.subarray(0, cut));
          expect(await codeOf(path)).not.toMatch(/^not typed/);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('reads a sharded model through its index and refuses an index that leaves the folder', async () => {
    const model = await mkdtemp(join(dir, 'model-'));
    const one = { name: 'one', dtype: 'F32', shape: [1], data: Float32Array.of(1) } as const;
    const two = { name: 'two', dtype: 'F32', shape: [1], data: Float32Array.of(2) } as const;
    await writeSafetensors(join(model, 'model-00001-of-00002.safetensors'), [one]);
    await writeSafetensors(join(model, 'model-00002-of-00002.safetensors'), [two]);
    const index = join(model, 'model.safetensors.index.json');
    await writeFile(
      index,
      JSON.stringify({
        weight_map: { one: 'model-00001-of-00002.safetensors', two: 'model-00002-of-00002.safetensors' },
      }),
    );
    const opened = await openSafetensorsModel(model);
    expect((await opened.readFloat32('two'))[0]).toBe(2);
    expect(opened.get('one').path).toBe(join(model, 'model-00001-of-00002.safetensors'));
    await writeFile(index, JSON.stringify({ weight_map: { one: '../a.safetensors' } }));
    await expect(openSafetensorsModel(model)).rejects.toMatchObject({ code: 'format.malformed' });
  });
});

describe('float conversion', () => {
  it('is exact for all half precision values and rounds to the nearest otherwise', () => {
    const all = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    const floats = toFloat32(new Uint8Array(all.buffer), 'F16');
    const back = new Uint16Array(fromFloat32(floats, 'F16').slice().buffer);
    for (let i = 0; i < 65_536; i += 1)
      if (!Number.isNaN(floats[i]) && back[i] !== i) throw new Error(`half ${i} became ${back[i]}`);
    fc.assert(
      fc.property(fc.float({ min: -65000, max: 65000, noNaN: true }), (value) => {
        const [half] = toFloat32(fromFloat32(Float32Array.of(value), 'F16'), 'F16');
        expect(Math.abs((half ?? NaN) - value)).toBeLessThanOrEqual(Math.max(2 ** -25, Math.abs(value) * 2 ** -11));
      }),
    );
  });

  it('rounds to bfloat16 within half a unit and keeps NaN and infinity', () => {
    fc.assert(
      fc.property(
        fc.float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(-1e38), max: Math.fround(1e38) }),
        (value) => {
          expect(Math.abs(roundToBfloat16(value) - value)).toBeLessThanOrEqual(Math.abs(value) * 2 ** -8 + 1e-40);
          expect(roundToBfloat16(roundToBfloat16(value))).toBe(roundToBfloat16(value));
        },
      ),
    );
    expect(roundToBfloat16(NaN)).toBeNaN();
    expect(roundToBfloat16(-Infinity)).toBe(-Infinity);
    expect(roundToBfloat16(1 + 2 ** -8)).toBe(1);
  });
});

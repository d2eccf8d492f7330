import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { PreparedManifest } from '@luthier/contracts';
import { FormatError } from '../format-error.js';
import type { SafetensorsDtype } from '../safetensors/dtype.js';
import { openSafetensors, readFully } from '../safetensors/read-safetensors.js';
import type { SafetensorsFile } from '../safetensors/read-safetensors.js';
import type { PreparedRow } from './prepared-row.js';

const HASH_CHUNK_BYTES = 1 << 20;

function expectTensor(file: SafetensorsFile, name: string, dtype: SafetensorsDtype, length: number): void {
  const tensor = file.get(name);
  if (tensor.dtype !== dtype || tensor.shape.length !== 1 || tensor.shape[0] !== length) {
    throw new FormatError('format.malformed', `Shard tensor "${name}" must be ${dtype} [${length}].`, {
      path: file.path,
      tensor: name,
    });
  }
}

async function sha256Of(handle: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  const chunk = new Uint8Array(HASH_CHUNK_BYTES);
  for (let position = 0; ;) {
    const { bytesRead } = await handle.read(chunk, 0, chunk.byteLength, position);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(chunk.subarray(0, bytesRead));
    position += bytesRead;
  }
}

/** One shard: row offsets in memory (8 bytes a row), everything else read when a row is asked for. */
export class PreparedShard {
  private constructor(
    private readonly handle: FileHandle,
    private readonly file: SafetensorsFile,
    private readonly offsets: Float64Array,
    private readonly withLabel: boolean,
    private readonly whole: Uint8Array | undefined,
  ) {}

  get rows(): number {
    return this.offsets.length - 1;
  }

  static async open(
    path: string,
    entry: PreparedManifest['shards'][number],
    withLabel: boolean,
    options: { verify: boolean; inMemory: boolean },
  ): Promise<PreparedShard> {
    const handle = await open(path, 'r');
    try {
      if (options.verify) {
        const actual = await sha256Of(handle);
        if (actual !== entry.sha256) {
          throw new FormatError('format.checksum-mismatch', `${entry.file} does not have the sha256 of the manifest.`, {
            path,
            expected: entry.sha256,
            actual,
          });
        }
      }
      const file = await openSafetensors(path);
      expectTensor(file, 'rowOffsets', 'I64', entry.rows + 1);
      expectTensor(file, 'sourceLine', 'I64', entry.rows);
      expectTensor(file, 'tokens', 'I32', entry.tokens);
      expectTensor(file, 'promptLength', 'I32', entry.rows);
      expectTensor(file, 'sourceFile', 'I32', entry.rows);
      expectTensor(file, 'trained', 'U8', entry.tokens);
      if (withLabel) expectTensor(file, 'label', 'U8', entry.rows);
      const offsets = await readOffsets(file, entry.tokens);
      const whole = options.inMemory ? new Uint8Array(file.sizeBytes) : undefined;
      if (whole) await readFully(handle, whole, 0);
      return new PreparedShard(handle, file, offsets, withLabel, whole);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  length(row: number): number {
    return (this.offsets[row + 1] ?? 0) - (this.offsets[row] ?? 0);
  }

  async row(row: number): Promise<PreparedRow> {
    const begin = this.offsets[row] ?? 0;
    const length = this.length(row);
    const [tokens, trained, promptLength, sourceFile, sourceLine, label] = await Promise.all([
      this.bytes('tokens', begin * 4, length * 4),
      this.bytes('trained', begin, length),
      this.bytes('promptLength', row * 4, 4),
      this.bytes('sourceFile', row * 4, 4),
      this.bytes('sourceLine', row * 8, 8),
      this.withLabel ? this.bytes('label', row, 1) : undefined,
    ]);
    return {
      tokens: new Int32Array(tokens.buffer, tokens.byteOffset, length),
      trained,
      promptLength: new DataView(promptLength.buffer).getInt32(0, true),
      sourceFile: new DataView(sourceFile.buffer).getInt32(0, true),
      sourceLine: Number(new DataView(sourceLine.buffer).getBigInt64(0, true)),
      ...(label && { label: label[0] === 1 ? 1 : 0 }),
    };
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  /** A copy, so that a caller who changes a row does not change the dataset. */
  private async bytes(name: string, begin: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const offset = this.file.get(name).offset + begin;
    if (this.whole) return new Uint8Array(this.whole.slice(offset, offset + length).buffer);
    const target = new Uint8Array(length);
    await readFully(this.handle, target, offset);
    return target;
  }
}

async function readOffsets(file: SafetensorsFile, tokens: number): Promise<Float64Array> {
  const bytes = await file.read('rowOffsets');
  const source = new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
  const offsets = Float64Array.from(source, Number);
  let previous = 0;
  for (const offset of offsets) {
    if (offset < previous) throw new FormatError('format.malformed', 'rowOffsets must not fall.', { path: file.path });
    previous = offset;
  }
  if (offsets[0] !== 0 || previous !== tokens) {
    throw new FormatError('format.malformed', 'rowOffsets must run from 0 to the number of tokens.', {
      path: file.path,
    });
  }
  return offsets;
}

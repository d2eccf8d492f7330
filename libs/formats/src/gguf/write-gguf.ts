import { createHash, randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FormatError } from '../format-error.js';
import { fsyncFolder } from '../safetensors/write-safetensors.js';
import type { WrittenFile } from '../safetensors/write-safetensors.js';
import { GGUF_ALIGNMENT_DEFAULT, GGUF_MAGIC, GGUF_TENSOR_TYPES, GGUF_VALUE_TYPES, GGUF_VERSION } from './gguf-types.js';
import type { GgufTensorType } from './gguf-types.js';

type PlainValueType = 'uint32' | 'int32' | 'float32' | 'bool' | 'string';

/** A metadata value with the type llama.cpp expects for its key. */
export type GgufEntry =
  | { readonly type: 'uint32' | 'int32' | 'float32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'int32[]' | 'float32[]'; readonly value: readonly number[] }
  | { readonly type: 'string[]'; readonly value: readonly string[] };

export interface GgufTensorToWrite {
  readonly name: string;
  readonly type: GgufTensorType;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** Makes the bytes when their turn comes. */
  readonly data: () => AsyncIterable<Uint8Array>;
}

class ByteWriter {
  private readonly parts: Buffer[] = [];
  length = 0;

  private push(part: Buffer): void {
    this.parts.push(part);
    this.length += part.byteLength;
  }

  uint32(value: number): void {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value);
    this.push(part);
  }

  uint64(value: number): void {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt(value));
    this.push(part);
  }

  string(value: string): void {
    const part = Buffer.from(value, 'utf8');
    this.uint64(part.byteLength);
    this.push(part);
  }

  scalar(type: PlainValueType, value: number | boolean | string): void {
    if (type === 'string') return this.string(String(value));
    const part = Buffer.alloc(type === 'bool' ? 1 : 4);
    if (type === 'bool') part.writeUInt8(value ? 1 : 0);
    else if (type === 'float32') part.writeFloatLE(Number(value));
    else if (type === 'int32') part.writeInt32LE(Number(value));
    else part.writeUInt32LE(Number(value));
    this.push(part);
  }

  entry(key: string, entry: GgufEntry): void {
    this.string(key);
    if (typeof entry.value !== 'object') {
      const type = entry.type;
      this.uint32(GGUF_VALUE_TYPES[type]);
      return this.scalar(type, entry.value);
    }
    const itemType = entry.type.slice(0, -'[]'.length) as PlainValueType;
    this.uint32(GGUF_VALUE_TYPES.array);
    this.uint32(GGUF_VALUE_TYPES[itemType]);
    this.uint64(entry.value.length);
    for (const item of entry.value) this.scalar(itemType, item);
  }

  bytes(padTo: number): Buffer {
    const padding = (padTo - (this.length % padTo)) % padTo;
    return Buffer.concat([...this.parts, Buffer.alloc(padding)]);
  }
}

function tensorBytes({ name, type, shape }: GgufTensorToWrite): number {
  const { blockElements, blockBytes } = GGUF_TENSOR_TYPES[type];
  const size = (shape.reduce((product, dimension) => product * dimension, 1) / blockElements) * blockBytes;
  if (!Number.isSafeInteger(size) || size <= 0)
    throw new FormatError('format.invalid-input', `Tensor "${name}" has an impossible shape.`);
  return size;
}

const aligned = (size: number): number => Math.ceil(size / GGUF_ALIGNMENT_DEFAULT) * GGUF_ALIGNMENT_DEFAULT;

function encodeHeader(metadata: ReadonlyMap<string, GgufEntry>, tensors: readonly GgufTensorToWrite[]): Buffer {
  const writer = new ByteWriter();
  writer.uint32(GGUF_MAGIC);
  writer.uint32(GGUF_VERSION);
  writer.uint64(tensors.length);
  writer.uint64(metadata.size);
  for (const [key, entry] of metadata) writer.entry(key, entry);
  let offset = 0;
  for (const tensor of tensors) {
    writer.string(tensor.name);
    writer.uint32(tensor.shape.length);
    for (const dimension of [...tensor.shape].reverse()) writer.uint64(dimension);
    writer.uint32(GGUF_TENSOR_TYPES[tensor.type].id);
    writer.uint64(offset);
    offset += aligned(tensorBytes(tensor));
  }
  return writer.bytes(GGUF_ALIGNMENT_DEFAULT);
}

/** Writes a GGUF v3 file tensor by tensor, under a temporary name until it is complete. */
export async function writeGguf(
  path: string,
  metadata: ReadonlyMap<string, GgufEntry>,
  tensors: readonly GgufTensorToWrite[],
  options: { readonly fsync?: boolean } = {},
): Promise<WrittenFile> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const hash = createHash('sha256');
  let sizeBytes = 0;
  try {
    const handle = await open(temporary, 'wx');
    try {
      const append = async (bytes: Uint8Array): Promise<void> => {
        hash.update(bytes);
        await handle.writeFile(bytes);
        sizeBytes += bytes.byteLength;
      };
      await append(encodeHeader(metadata, tensors));
      for (const tensor of tensors) {
        const start = sizeBytes;
        for await (const part of tensor.data()) await append(part);
        const expected = tensorBytes(tensor);
        if (sizeBytes - start !== expected) {
          throw new FormatError(
            'format.invalid-input',
            `Tensor "${tensor.name}" needs ${expected} bytes, got ${sizeBytes - start}.`,
          );
        }
        await append(new Uint8Array(aligned(expected) - expected));
      }
      if (options.fsync) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    if (options.fsync) await fsyncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  return { path, sizeBytes, sha256: hash.digest('hex') };
}

import { createHash, randomBytes } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FormatError } from '../format-error.js';
import { elementCount, SAFETENSORS_DTYPE_SIZE_BYTES } from './dtype.js';
import type { SafetensorsDtype } from './dtype.js';

export type TensorBytes = ArrayBufferView | Iterable<ArrayBufferView> | AsyncIterable<ArrayBufferView>;

export interface TensorToWrite {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** The little-endian bytes, or a function that makes them when their turn comes, so that one tensor is in memory at a time. */
  readonly data: ArrayBufferView | (() => TensorBytes | Promise<TensorBytes>);
}

export interface WriteSafetensorsOptions {
  /** Flush file and folder to the disk before and after the rename. */
  readonly fsync?: boolean;
}

export interface WrittenFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

interface PlannedTensor extends TensorToWrite {
  readonly sizeBytes: number;
}

function plan(tensors: readonly TensorToWrite[]): PlannedTensor[] {
  const names = new Set<string>(['__metadata__']);
  const planned = tensors.map((tensor) => {
    if (names.has(tensor.name))
      throw new FormatError('format.duplicate', `Tensor name "${tensor.name}" is reserved or given twice.`);
    names.add(tensor.name);
    const count = elementCount(tensor.shape);
    if (count === undefined)
      throw new FormatError('format.invalid-input', `Tensor "${tensor.name}" has an impossible shape.`);
    return { ...tensor, sizeBytes: count * SAFETENSORS_DTYPE_SIZE_BYTES[tensor.dtype] };
  });
  // Falling element size keeps every tensor aligned to its own elements; the sort is stable, so the given order stays within a size.
  return planned.sort((a, b) => SAFETENSORS_DTYPE_SIZE_BYTES[b.dtype] - SAFETENSORS_DTYPE_SIZE_BYTES[a.dtype]);
}

function encodeHeader(tensors: readonly PlannedTensor[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const entries: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) entries.push(['__metadata__', metadata]);
  let offset = 0;
  for (const { name, dtype, shape, sizeBytes } of tensors) {
    entries.push([name, { dtype, shape, data_offsets: [offset, offset + sizeBytes] }]);
    offset += sizeBytes;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)), 'utf8');
  const padded = Math.ceil(json.byteLength / 8) * 8;
  const header = Buffer.alloc(8 + padded, 0x20);
  header.writeBigUInt64LE(BigInt(padded), 0);
  json.copy(header, 8);
  return header;
}

async function append(handle: FileHandle, hash: Hash, view: ArrayBufferView): Promise<number> {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  hash.update(bytes);
  let done = 0;
  while (done < bytes.byteLength)
    done += (await handle.write(bytes, done, Math.min(bytes.byteLength - done, 1 << 30))).bytesWritten;
  return bytes.byteLength;
}

async function appendTensor(handle: FileHandle, hash: Hash, tensor: PlannedTensor): Promise<void> {
  const source = typeof tensor.data === 'function' ? await tensor.data() : tensor.data;
  let written = 0;
  if (ArrayBuffer.isView(source)) written = await append(handle, hash, source);
  else for await (const part of source) written += await append(handle, hash, part);
  if (written !== tensor.sizeBytes) {
    throw new FormatError(
      'format.invalid-input',
      `Tensor "${tensor.name}" needs ${tensor.sizeBytes} bytes, got ${written}.`,
    );
  }
}

/** Flushes a folder's entries, so that a rename inside it survives a power cut. */
export async function fsyncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Writes a safetensors file tensor by tensor: under a temporary name, then renamed, so that a reader sees all of it or nothing.
 * Tensors are stored by falling element size and the header is padded to 8 bytes, so every tensor is aligned to its elements.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
  options: WriteSafetensorsOptions = {},
): Promise<WrittenFile> {
  const planned = plan(tensors);
  const header = encodeHeader(planned, metadata);
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const hash = createHash('sha256');
  try {
    const handle = await open(temporary, 'wx');
    try {
      await append(handle, hash, header);
      for (const tensor of planned) await appendTensor(handle, hash, tensor);
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
  const sizeBytes = planned.reduce((sum, tensor) => sum + tensor.sizeBytes, header.byteLength);
  return { path, sizeBytes, sha256: hash.digest('hex') };
}

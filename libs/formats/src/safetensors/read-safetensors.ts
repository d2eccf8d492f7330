import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { FormatError } from '../format-error.js';
import { toFloat32 } from './float.js';
import { parseHeaderLength, parseSafetensorsHeader } from './header.js';
import type { SafetensorsHeader, SafetensorsTensor } from './header.js';

/** One read call of the operating system takes less than 2 GiB. */
const READ_CHUNK_BYTES = 1 << 30;

/** Fills `target` from `position`; a file that ends earlier is an error. */
export async function readFully(handle: FileHandle, target: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < target.byteLength) {
    const length = Math.min(READ_CHUNK_BYTES, target.byteLength - done);
    const { bytesRead } = await handle.read(target, done, length, position + done);
    if (bytesRead === 0)
      throw new FormatError('format.truncated', `The file ends at byte ${position + done}.`, { position });
    done += bytesRead;
  }
}

/** A safetensors file of which only the header is in memory. Reads open the file for their own duration, so nothing has to be closed. */
export class SafetensorsFile {
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly dataOffset: number;

  constructor(
    readonly path: string,
    readonly sizeBytes: number,
    header: SafetensorsHeader,
  ) {
    this.tensors = header.tensors;
    this.metadata = header.metadata;
    this.dataOffset = header.dataOffset;
  }

  /** The tensor's entry; throws `format.missing` for an unknown name. */
  get(name: string): SafetensorsTensor {
    const tensor = this.tensors.get(name);
    if (!tensor)
      throw new FormatError('format.missing', `The file has no tensor "${name}".`, { tensor: name, path: this.path });
    return tensor;
  }

  /** Raw little-endian bytes of a tensor. */
  async read(name: string): Promise<Uint8Array> {
    const tensor = this.get(name);
    return this.readRange(name, 0, tensor.sizeBytes);
  }

  /** Raw bytes `[begin, end)` of a tensor, counted from its first byte. */
  async readRange(name: string, begin: number, end: number): Promise<Uint8Array> {
    const tensor = this.get(name);
    if (!(begin >= 0 && begin <= end && end <= tensor.sizeBytes)) {
      throw new FormatError('format.out-of-bounds', `Bytes ${begin} to ${end} lie outside tensor "${name}".`, {
        tensor: name,
      });
    }
    const target = new Uint8Array(end - begin);
    const handle = await open(this.path, 'r');
    try {
      await readFully(handle, target, tensor.offset + begin);
    } finally {
      await handle.close();
    }
    return target;
  }

  /** An F32, F16, BF16 or F64 tensor as Float32Array. */
  async readFloat32(name: string): Promise<Float32Array> {
    return toFloat32(await this.read(name), this.get(name).dtype);
  }
}

/** Reads and checks the header of a safetensors file. Throws FormatError for anything the format does not allow. */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const prefix = new Uint8Array(Math.min(8, size));
    await readFully(handle, prefix, 0);
    const json = new Uint8Array(parseHeaderLength(prefix, size));
    await readFully(handle, json, 8);
    return new SafetensorsFile(path, size, parseSafetensorsHeader(json, size));
  } finally {
    await handle.close();
  }
}

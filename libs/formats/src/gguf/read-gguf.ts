import { open } from 'node:fs/promises';
import { FormatError } from '../format-error.js';
import { readFully } from '../safetensors/read-safetensors.js';
import { dequantise } from './quants/dequantise.js';
import { GGUF_HEADER_BYTES_MAX, HeaderGoesOn, parseGgufHeader } from './gguf-header.js';
import type { GgufHeader, GgufTensor } from './gguf-header.js';
import type { GgufScalar, GgufValue } from './gguf-types.js';

const FIRST_READ_BYTES = 4 * 1024 * 1024;

/** A GGUF file of which only the header is in memory. */
export class GgufFile {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;

  constructor(
    readonly path: string,
    header: GgufHeader,
  ) {
    this.metadata = header.metadata;
    this.tensors = header.tensors;
  }

  get(name: string): GgufTensor {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new FormatError('format.missing', `The GGUF file has no tensor "${name}".`, { tensor: name });
    return tensor;
  }

  number(key: string): number {
    return this.typed(key, 'number', (value) => (typeof value === 'number' ? value : undefined));
  }

  string(key: string): string {
    return this.typed(key, 'text', (value) => (typeof value === 'string' ? value : undefined));
  }

  list(key: string): readonly GgufScalar[] {
    return this.typed(key, 'list', (value) => (typeof value === 'object' ? value : undefined));
  }

  /** Rows `[first, last)` of a tensor (its outermost dimension) as floats. */
  async readRows(name: string, first: number, last: number): Promise<Float32Array> {
    const tensor = this.get(name);
    const rows = tensor.shape.length > 1 ? (tensor.shape[0] ?? 1) : 1;
    if (!(first >= 0 && first <= last && last <= rows))
      throw new FormatError('format.out-of-bounds', `Tensor "${name}" has ${rows} rows.`);
    const rowBytes = tensor.sizeBytes / rows;
    const bytes = new Uint8Array((last - first) * rowBytes);
    const handle = await open(this.path, 'r');
    try {
      await readFully(handle, bytes, tensor.offset + first * rowBytes);
    } finally {
      await handle.close();
    }
    return dequantise(bytes, tensor.type);
  }

  /** A whole tensor as floats. */
  async readFloat32(name: string): Promise<Float32Array> {
    const { shape } = this.get(name);
    return this.readRows(name, 0, shape.length > 1 ? (shape[0] ?? 1) : 1);
  }

  private typed<T>(key: string, what: string, convert: (value: GgufValue) => T | undefined): T {
    const value = this.metadata.get(key);
    const converted = value === undefined ? undefined : convert(value);
    if (converted === undefined)
      throw new FormatError('format.missing', `The GGUF file has no ${what} "${key}".`, { key });
    return converted;
  }
}

/** Reads and checks the header of a GGUF file; reads more of the file only while the header goes on. */
export async function openGguf(path: string): Promise<GgufFile> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    for (let length = FIRST_READ_BYTES; ; length *= 4) {
      const bytes = new Uint8Array(Math.min(length, size, GGUF_HEADER_BYTES_MAX));
      await readFully(handle, bytes, 0);
      try {
        return new GgufFile(path, parseGgufHeader(bytes, size));
      } catch (error) {
        if (!(error instanceof HeaderGoesOn)) throw error;
      }
    }
  } finally {
    await handle.close();
  }
}

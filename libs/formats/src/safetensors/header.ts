import { FormatError } from '../format-error.js';
import { elementCount, isSafetensorsDtype, SAFETENSORS_DTYPE_SIZE_BYTES } from './dtype.js';
import type { SafetensorsDtype } from './dtype.js';

/** Largest header that is read; real files of the largest models stay below a few megabytes. */
export const SAFETENSORS_HEADER_BYTES_MAX = 25_000_000;
const RANK_MAX = 16;
const NESTING_MAX = 3;

export interface SafetensorsTensor {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Absolute byte offset of the tensor's first byte in the file. */
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Absolute byte offset at which tensor data begins. */
  readonly dataOffset: number;
}

/** JSON.parse keeps the last of two equal keys silently; two readers would then see two different files. */
function refuseDuplicateKeys(text: string): void {
  const keysByDepth: (Set<string> | undefined)[] = [];
  let position = 0;
  while (position < text.length) {
    const character = text[position];
    if (character === '"') {
      const start = position;
      position += 1;
      while (position < text.length && text[position] !== '"') position += text[position] === '\\' ? 2 : 1;
      position += 1;
      let next = position;
      while (/\s/.test(text[next] ?? '')) next += 1;
      if (text[next] === ':') addKey(keysByDepth[keysByDepth.length - 1], text.slice(start, position));
      continue;
    }
    if (character === '{' || character === '[') {
      if (keysByDepth.length >= NESTING_MAX)
        throw new FormatError('format.malformed', 'The safetensors header is nested too deeply.');
      keysByDepth.push(character === '{' ? new Set() : undefined);
    } else if (character === '}' || character === ']') keysByDepth.pop();
    position += 1;
  }
}

function addKey(keys: Set<string> | undefined, literal: string): void {
  let key: string;
  try {
    key = JSON.parse(literal) as string;
  } catch (cause) {
    throw new FormatError('format.malformed', 'The safetensors header is not valid JSON.', {}, { cause });
  }
  if (keys?.has(key))
    throw new FormatError('format.duplicate', `The safetensors header names "${key.slice(0, 200)}" twice.`, { key });
  keys?.add(key);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseMetadata(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  if (!isRecord(value)) throw new FormatError('format.malformed', '__metadata__ must be an object of strings.');
  const entries: [string, string][] = [];
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== 'string') throw new FormatError('format.malformed', `__metadata__.${key} must be a string.`);
    entries.push([key, item]);
  }
  return Object.fromEntries(entries);
}

function parseTensor(name: string, value: unknown, dataOffset: number, dataBytes: number): SafetensorsTensor {
  const fail = (code: 'format.malformed' | 'format.out-of-bounds' | 'format.unsupported', why: string): never => {
    throw new FormatError(code, `Tensor "${name.slice(0, 200)}": ${why}`, { tensor: name });
  };
  if (!isRecord(value)) return fail('format.malformed', 'its entry is not an object.');
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isSafetensorsDtype(dtype))
    return fail('format.unsupported', `element type ${JSON.stringify(dtype)?.slice(0, 40)} is not known.`);
  if (!Array.isArray(shape) || shape.length > RANK_MAX)
    return fail('format.malformed', 'shape must be a list of at most 16 sizes.');
  const dimensions = shape as number[];
  const count = elementCount(dimensions);
  const sizeBytes = (count ?? NaN) * SAFETENSORS_DTYPE_SIZE_BYTES[dtype];
  if (!Number.isSafeInteger(sizeBytes))
    return fail('format.out-of-bounds', 'its shape is negative, fractional or too large.');
  if (!Array.isArray(offsets) || offsets.length !== 2)
    return fail('format.malformed', 'data_offsets must be [begin, end].');
  const [begin, end] = offsets as [unknown, unknown];
  if (!Number.isSafeInteger(begin) || !Number.isSafeInteger(end))
    return fail('format.malformed', 'data_offsets must be integers.');
  const first = begin as number;
  const last = end as number;
  if (first < 0 || last < first || last > dataBytes)
    return fail('format.out-of-bounds', 'data_offsets lie outside the file.');
  if (last - first !== sizeBytes)
    return fail('format.malformed', `shape needs ${sizeBytes} bytes, data_offsets give ${last - first}.`);
  return { name, dtype, shape: dimensions, offset: dataOffset + first, sizeBytes };
}

/** The format allows neither overlaps nor holes: every byte after the header belongs to exactly one tensor. */
function refuseGaps(tensors: Iterable<SafetensorsTensor>, dataOffset: number, fileBytes: number): void {
  let expected = dataOffset;
  const sorted = [...tensors].sort((a, b) => a.offset - b.offset || a.sizeBytes - b.sizeBytes);
  for (const tensor of sorted) {
    if (tensor.offset !== expected) {
      const what = tensor.offset < expected ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw new FormatError('format.out-of-bounds', `Tensor "${tensor.name.slice(0, 200)}" ${what}.`, {
        tensor: tensor.name,
      });
    }
    expected += tensor.sizeBytes;
  }
  if (expected !== fileBytes) {
    throw new FormatError(
      'format.out-of-bounds',
      `${fileBytes - expected} bytes after the last tensor belong to none.`,
    );
  }
}

/** Length of the JSON header from the file's first 8 bytes, checked against the limits. */
export function parseHeaderLength(prefix: Uint8Array, fileBytes: number): number {
  if (prefix.byteLength < 8)
    throw new FormatError('format.truncated', 'The file is shorter than a safetensors header.', { fileBytes });
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(SAFETENSORS_HEADER_BYTES_MAX)) {
    throw new FormatError(
      'format.too-large',
      `The safetensors header claims ${length} bytes; the limit is ${SAFETENSORS_HEADER_BYTES_MAX}.`,
    );
  }
  if (Number(length) + 8 > fileBytes) {
    throw new FormatError(
      'format.truncated',
      `The safetensors header claims ${length} bytes, the file has ${fileBytes}.`,
      { fileBytes },
    );
  }
  return Number(length);
}

/** Parses and checks the JSON header. `fileBytes` is the size of the whole file. */
export function parseSafetensorsHeader(json: Uint8Array, fileBytes: number): SafetensorsHeader {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
  } catch (cause) {
    throw new FormatError('format.invalid-utf8', 'The safetensors header is not valid UTF-8.', {}, { cause });
  }
  if (!text.startsWith('{')) throw new FormatError('format.malformed', 'The safetensors header must begin with "{".');
  refuseDuplicateKeys(text);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new FormatError('format.malformed', 'The safetensors header is not valid JSON.', {}, { cause });
  }
  if (!isRecord(parsed)) throw new FormatError('format.malformed', 'The safetensors header must be an object.');
  const dataOffset = 8 + json.byteLength;
  const tensors = new Map<string, SafetensorsTensor>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(parsed)) {
    if (name === '__metadata__') metadata = parseMetadata(value);
    else tensors.set(name, parseTensor(name, value, dataOffset, fileBytes - dataOffset));
  }
  refuseGaps(tensors.values(), dataOffset, fileBytes);
  return { tensors, metadata, dataOffset };
}

import { FormatError } from '../format-error.js';
import {
  GGUF_ALIGNMENT_DEFAULT,
  GGUF_MAGIC,
  GGUF_TENSOR_TYPES,
  GGUF_VALUE_TYPES,
  ggufTensorType,
  ggufTypeName,
} from './gguf-types.js';
import type { GgufScalar, GgufTensorType, GgufValue } from './gguf-types.js';

/** Largest header that is read: tokens and merges of a 256k vocabulary take about 15 MB. */
export const GGUF_HEADER_BYTES_MAX = 128 * 1024 * 1024;
const KEYS_MAX = 10_000;
const KEY_BYTES_MAX = 65_535;
const STRING_BYTES_MAX = 8 * 1024 * 1024;
const ARRAY_ITEMS_MAX = 4_000_000;
const TENSORS_MAX = 100_000;
const DIMENSIONS_MAX = 4;

export interface GgufTensor {
  readonly name: string;
  readonly type: GgufTensorType;
  /** Outermost dimension first, as in safetensors (GGUF stores them the other way round). */
  readonly shape: readonly number[];
  /** Absolute byte offset in the file. */
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** Thrown inside this package when the header goes on beyond the bytes at hand; the reader then brings more. */
export class HeaderGoesOn extends Error {}

interface TensorEntry {
  readonly name: string;
  readonly type: GgufTensorType;
  readonly shape: readonly number[];
  readonly sizeBytes: number;
  readonly relativeOffset: number;
}

class Cursor {
  private position = 0;
  private readonly view: DataView;
  private readonly decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  constructor(
    private readonly bytes: Uint8Array,
    private readonly fileBytes: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.position;
  }

  /** Claims bytes; refused at once when the file is too short, so that no claim leads to an allocation. */
  private take(length: number): number {
    const start = this.position;
    const end = start + length;
    if (end > this.fileBytes)
      throw new FormatError(
        'format.truncated',
        `The GGUF header goes beyond the end of the file (${this.fileBytes} bytes).`,
      );
    if (end > GGUF_HEADER_BYTES_MAX)
      throw new FormatError('format.too-large', `The GGUF header is larger than ${GGUF_HEADER_BYTES_MAX} bytes.`);
    if (end > this.bytes.byteLength) throw new HeaderGoesOn();
    this.position = end;
    return start;
  }

  uint32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  uint64(what: string, max: number): number {
    const value = this.view.getBigUint64(this.take(8), true);
    if (value > BigInt(max))
      throw new FormatError('format.too-large', `GGUF: ${what} is ${value}; the limit is ${max}.`);
    return Number(value);
  }

  string(bytesMax: number): string {
    const length = this.uint64('the length of a text', bytesMax);
    const start = this.take(length);
    try {
      return this.decoder.decode(this.bytes.subarray(start, start + length));
    } catch (cause) {
      throw new FormatError(
        'format.invalid-utf8',
        `GGUF: the text at byte ${start} is not valid UTF-8.`,
        { offset: start },
        { cause },
      );
    }
  }

  scalar(type: number): GgufScalar {
    const { view } = this;
    switch (type) {
      case GGUF_VALUE_TYPES.uint8:
        return view.getUint8(this.take(1));
      case GGUF_VALUE_TYPES.int8:
        return view.getInt8(this.take(1));
      case GGUF_VALUE_TYPES.uint16:
        return view.getUint16(this.take(2), true);
      case GGUF_VALUE_TYPES.int16:
        return view.getInt16(this.take(2), true);
      case GGUF_VALUE_TYPES.uint32:
        return view.getUint32(this.take(4), true);
      case GGUF_VALUE_TYPES.int32:
        return view.getInt32(this.take(4), true);
      case GGUF_VALUE_TYPES.float32:
        return view.getFloat32(this.take(4), true);
      case GGUF_VALUE_TYPES.bool:
        return view.getUint8(this.take(1)) !== 0;
      case GGUF_VALUE_TYPES.string:
        return this.string(STRING_BYTES_MAX);
      case GGUF_VALUE_TYPES.uint64:
        return this.uint64('a number', Number.MAX_SAFE_INTEGER);
      case GGUF_VALUE_TYPES.int64:
        return this.int64();
      case GGUF_VALUE_TYPES.float64:
        return view.getFloat64(this.take(8), true);
      default:
        throw new FormatError('format.unsupported', `GGUF: value type ${type} is not known.`, { type });
    }
  }

  value(): GgufValue {
    const type = this.uint32();
    if (type !== GGUF_VALUE_TYPES.array) return this.scalar(type);
    const itemType = this.uint32();
    if (itemType === GGUF_VALUE_TYPES.array)
      throw new FormatError('format.unsupported', 'GGUF: lists of lists are not supported.');
    const count = this.uint64('the length of a list', ARRAY_ITEMS_MAX);
    const items: GgufScalar[] = [];
    for (let i = 0; i < count; i += 1) items.push(this.scalar(itemType));
    return items;
  }

  private int64(): number {
    const value = Number(this.view.getBigInt64(this.take(8), true));
    if (!Number.isSafeInteger(value))
      throw new FormatError('format.out-of-bounds', `GGUF: the number ${value} is too large.`);
    return value;
  }
}

function parseTensor(cursor: Cursor): TensorEntry {
  const name = cursor.string(KEY_BYTES_MAX);
  const rank = cursor.uint32();
  if (rank < 1 || rank > DIMENSIONS_MAX)
    throw new FormatError('format.malformed', `GGUF: tensor "${name}" has ${rank} dimensions.`, { tensor: name });
  const shape: number[] = [];
  for (let i = 0; i < rank; i += 1) shape.unshift(cursor.uint64(`a dimension of "${name}"`, Number.MAX_SAFE_INTEGER));
  const typeId = cursor.uint32();
  const relativeOffset = cursor.uint64(`the offset of "${name}"`, Number.MAX_SAFE_INTEGER);
  const type = ggufTensorType(typeId);
  if (!type) {
    const known = Object.keys(GGUF_TENSOR_TYPES).join(', ');
    throw new FormatError(
      'format.unsupported',
      `GGUF: tensor "${name}" is ${ggufTypeName(typeId)}, which is not read. Take a file of the same model in one of ${known}: ` +
        'the larger the type, the less was lost.',
      { tensor: name, type: typeId },
    );
  }
  const elements = shape.reduce((product, size) => product * size, 1);
  const { blockElements, blockBytes } = GGUF_TENSOR_TYPES[type];
  const sizeBytes = (elements / blockElements) * blockBytes;
  if (!Number.isSafeInteger(sizeBytes) || (shape[rank - 1] ?? 0) % blockElements !== 0 || sizeBytes === 0) {
    throw new FormatError(
      'format.out-of-bounds',
      `GGUF: tensor "${name}" has an impossible shape [${shape.join(', ')}].`,
      { tensor: name },
    );
  }
  return { name, type, shape, sizeBytes, relativeOffset };
}

/** Absolute offsets; every tensor inside the file, aligned, and none over another. */
function place(
  entries: readonly TensorEntry[],
  dataOffset: number,
  alignment: number,
  fileBytes: number,
): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  let end = 0;
  for (const { name, type, shape, sizeBytes, relativeOffset } of [...entries].sort(
    (a, b) => a.relativeOffset - b.relativeOffset,
  )) {
    const fail = (why: string): never => {
      throw new FormatError('format.out-of-bounds', `GGUF: tensor "${name}" ${why}.`, { tensor: name });
    };
    if (tensors.has(name))
      throw new FormatError('format.duplicate', `GGUF: tensor "${name}" is listed twice.`, { tensor: name });
    if (relativeOffset % alignment !== 0) fail('is not aligned');
    if (relativeOffset < end) fail('overlaps the tensor before it');
    end = relativeOffset + sizeBytes;
    if (dataOffset + end > fileBytes) fail('goes beyond the end of the file');
    tensors.set(name, { name, type, shape, offset: dataOffset + relativeOffset, sizeBytes });
  }
  return tensors;
}

/** Parses a GGUF v3 header from the file's first bytes. Throws HeaderGoesOn when more bytes are needed. */
export function parseGgufHeader(bytes: Uint8Array, fileBytes: number): GgufHeader {
  const cursor = new Cursor(bytes, fileBytes);
  if (cursor.uint32() !== GGUF_MAGIC) throw new FormatError('format.malformed', 'The file is not GGUF.');
  const version = cursor.uint32();
  if (version !== 2 && version !== 3)
    throw new FormatError('format.unsupported', `GGUF version ${version} is not supported.`, { version });
  const tensorCount = cursor.uint64('the number of tensors', TENSORS_MAX);
  const keyCount = cursor.uint64('the number of metadata keys', KEYS_MAX);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < keyCount; i += 1) {
    const key = cursor.string(KEY_BYTES_MAX);
    if (metadata.has(key))
      throw new FormatError('format.duplicate', `GGUF: metadata key "${key.slice(0, 200)}" is given twice.`, { key });
    metadata.set(key, cursor.value());
  }
  const entries: TensorEntry[] = [];
  for (let i = 0; i < tensorCount; i += 1) entries.push(parseTensor(cursor));
  const alignment = metadata.get('general.alignment') ?? GGUF_ALIGNMENT_DEFAULT;
  if (typeof alignment !== 'number' || alignment < 8 || alignment > 65_536 || alignment % 8 !== 0) {
    throw new FormatError('format.malformed', 'GGUF: general.alignment is not usable.');
  }
  const dataOffset = Math.ceil(cursor.offset / alignment) * alignment;
  return { metadata, tensors: place(entries, dataOffset, alignment, fileBytes) };
}

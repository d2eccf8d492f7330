/** Default limit of one line; longer lines are reported and skipped without being held in memory. */
export const LINE_BYTES_MAX = 8 * 1024 * 1024;

export type JsonlLine =
  | {
      readonly kind: 'line';
      readonly line: number;
      readonly text: string;
      readonly crlf: boolean;
      readonly byteOrderMark: boolean;
    }
  | { readonly kind: 'too-long'; readonly line: number; readonly sizeBytes: number; readonly maxBytes: number }
  | { readonly kind: 'invalid-utf8'; readonly line: number; /** From 0, in the file. */ readonly byteOffset: number };

export interface ReadLinesOptions {
  readonly lineBytesMax?: number;
}

const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** Length of the valid UTF-8 sequence at `at`, or 0. Overlong forms, surrogates and code points beyond U+10FFFF are not valid. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length =
    first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const second = bytes[at + 1] ?? 0;
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let i = 2; i < length; i += 1) if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return 0;
  return length;
}

/** Position of the first byte that is not valid UTF-8, or -1. */
export function invalidUtf8At(bytes: Uint8Array): number {
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at);
    if (length === 0) return at;
    at += length;
  }
  return -1;
}

/** The line being gathered from chunks; beyond the limit only its length is kept. */
class PendingLine {
  private parts: Uint8Array[] = [];
  private heldBytes = 0;
  sizeBytes = 0;

  constructor(private readonly maxBytes: number) {}

  append(part: Uint8Array): void {
    this.sizeBytes += part.byteLength;
    if (this.sizeBytes > this.maxBytes) {
      this.parts = [];
      this.heldBytes = 0;
      return;
    }
    this.parts.push(part);
    this.heldBytes += part.byteLength;
  }

  take(): Uint8Array {
    const [only] = this.parts;
    const bytes = this.parts.length === 1 && only ? only : Buffer.concat(this.parts, this.heldBytes);
    this.parts = [];
    this.heldBytes = 0;
    return bytes;
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function finish(pending: PendingLine, line: number, start: number, maxBytes: number): JsonlLine {
  if (pending.sizeBytes > maxBytes) return { kind: 'too-long', line, sizeBytes: pending.sizeBytes, maxBytes };
  let bytes = pending.take();
  const crlf = bytes[bytes.length - 1] === RETURN;
  if (crlf) bytes = bytes.subarray(0, -1);
  const byteOrderMark = line === 1 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  if (byteOrderMark) bytes = bytes.subarray(3);
  try {
    return { kind: 'line', line, text: decoder.decode(bytes), crlf, byteOrderMark };
  } catch {
    return {
      kind: 'invalid-utf8',
      line,
      byteOffset: start + (byteOrderMark ? 3 : 0) + Math.max(0, invalidUtf8At(bytes)),
    };
  }
}

/**
 * Splits a byte stream into lines, numbered from 1. Memory stays near one chunk plus `lineBytesMax` whatever comes in.
 * An empty last line (the newline at the end of a file) is not a line.
 */
export async function* readLines(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: ReadLinesOptions = {},
): AsyncGenerator<JsonlLine> {
  const maxBytes = options.lineBytesMax ?? LINE_BYTES_MAX;
  let line = 1;
  let start = 0;
  let pending = new PendingLine(maxBytes);
  for await (const chunk of source) {
    let from = 0;
    for (let newline = chunk.indexOf(NEWLINE); newline >= 0; newline = chunk.indexOf(NEWLINE, from)) {
      pending.append(chunk.subarray(from, newline));
      yield finish(pending, line, start, maxBytes);
      start += pending.sizeBytes + 1;
      line += 1;
      pending = new PendingLine(maxBytes);
      from = newline + 1;
    }
    // The rest is copied: a stream may reuse its buffer for the next chunk.
    if (from < chunk.length) pending.append(chunk.slice(from));
  }
  if (pending.sizeBytes > 0) yield finish(pending, line, start, maxBytes);
}

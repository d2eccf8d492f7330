export interface LogKey {
  runId: string;
  attempt: number;
  /** Of a run on several nodes, from 0. */
  node: number;
}

export interface LogPiece {
  text: string;
  /** Something before the text is left out. */
  truncated: boolean;
  /** Where to go on, in words of whoever read it. */
  at: string;
}

/** Where to read an attempt's log from its beginning. */
export const BEGINNING = '';

/** A place where logs of attempts can be read. */
export abstract class AttemptLogs {
  /** Newest attempt of which something is here. */
  abstract newest(runId: string): Promise<number | undefined>;
  /** The end of what is written; undefined: nothing of it is here. */
  abstract end(of: LogKey, limitBytes: number): Promise<LogPiece | undefined>;
  /** What came after `at`, empty when nothing did; undefined: nothing of it is here, or others know what `at` means. */
  abstract after(of: LogKey, at: string, limitBytes: number): Promise<LogPiece | undefined>;
}

/** As much of the bytes as ends with a whole character. */
export function wholeCharacters(bytes: Buffer): Buffer {
  for (let back = 1; back <= Math.min(4, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue; // goes on a character
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.subarray(0, -back) : bytes;
  }
  return bytes;
}

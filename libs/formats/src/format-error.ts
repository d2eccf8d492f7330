/** What a reader or writer of a file format refuses, closed so that callers can map each one to a user-facing code. */
export type FormatErrorCode =
  | 'format.truncated'
  | 'format.too-large'
  | 'format.malformed'
  | 'format.invalid-utf8'
  | 'format.duplicate'
  | 'format.out-of-bounds'
  | 'format.unsupported'
  | 'format.missing'
  | 'format.checksum-mismatch'
  | 'format.invalid-input';

/**
 * Thrown by every reader and writer of this package for input that is wrong or not understood.
 * System faults (no such file, disk full) stay the Node errors they are.
 */
export class FormatError extends Error {
  override readonly name = 'FormatError';

  constructor(
    readonly code: FormatErrorCode,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** True for a FormatError, also one that came from another copy of this module (a worker, a bundled build). */
export function isFormatError(error: unknown): error is FormatError {
  return error instanceof FormatError || (error instanceof Error && error.name === 'FormatError' && 'code' in error);
}

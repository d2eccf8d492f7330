import type { WriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/**
 * Writes what `through` makes of `source` and settles only when the file is closed. `pipeline` alone rejects as soon as
 * the source breaks, while a last write may still be under way: it would land in what somebody continues by then.
 */
export async function pipeToFile(
  source: Readable,
  through: (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
  file: WriteStream,
  signal: AbortSignal,
): Promise<void> {
  try {
    await pipeline(source, through, file, { signal });
  } finally {
    if (!file.closed) await new Promise<void>((resolve) => file.once('close', resolve));
  }
}

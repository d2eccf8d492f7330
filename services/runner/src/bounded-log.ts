import { createWriteStream } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { rename, stat } from 'node:fs/promises';
import { Writable } from 'node:stream';

/**
 * A log of at most two files of `maxBytes`: `path` and the one before it, `path + '.1'`. A disk that is full loses log
 * lines, never the run.
 */
export class BoundedLog extends Writable {
  private file: WriteStream;
  private sizeBytes = 0;

  /** @param echo gets everything too, as fast as it takes it */
  constructor(
    private readonly path: string,
    private readonly maxBytes: number,
    private readonly echo?: Writable,
  ) {
    super();
    this.file = this.openFile();
  }

  /** A line of the runner itself. */
  note(text: string): void {
    this.write(`[runner ${new Date().toISOString()}] ${text}\n`);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // Whoever reads it slowly loses lines; the run waits for nobody.
    if (this.echo && !this.echo.writableNeedDrain) this.echo.write(chunk);
    void this.append(chunk).then(
      () => done(),
      () => done(),
    );
  }

  override _final(done: () => void): void {
    this.file.end(() => done()); // also without what a failed file says: an error here would end the runner
  }

  private async append(chunk: Buffer): Promise<void> {
    if (this.sizeBytes + chunk.length > this.maxBytes && this.sizeBytes > 0) await this.rotate();
    const rest = chunk.subarray(-this.maxBytes);
    this.sizeBytes += rest.length;
    // A file that failed takes nothing more and says nothing more: only the callback is sure to come.
    if (this.file.destroyed) this.file = this.openFile();
    await new Promise<void>((resolve) => this.file.write(rest, () => resolve()));
  }

  private async rotate(): Promise<void> {
    await new Promise<void>((resolve) => this.file.end(() => resolve()));
    await rename(this.path, `${this.path}.1`).catch(() => undefined);
    this.file = this.openFile();
    this.sizeBytes = await stat(this.path).then(
      ({ size }) => size,
      () => 0,
    );
  }

  private openFile(): WriteStream {
    return createWriteStream(this.path, { flags: 'a' }).on('error', () => undefined);
  }
}

import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { AppError } from '@luthier/contracts';

/** A transfer may last as long as it likes; without a byte for so long it is over. */
const IDLE_TIMEOUT_MS = 60_000;
const NOTHING_THERE = 404;
const BEHIND_ITS_END = 416;
const PART = 206;
const FULL = 507;

/** The storage has answered, and not as it should. URLs are secrets: no error of here names one. */
class Refusal extends Error {
  constructor(readonly status: number) {
    super(`the storage answered ${status}`);
  }
}

/** One object on its way into a file, over as many connections as it takes: what has come is not asked for again. */
export class ObjectDownload {
  sizeBytes = 0;
  private hash: Hash = createHash('sha256');

  private constructor(private readonly file: FileHandle) {}

  static async into(path: string): Promise<ObjectDownload> {
    return new ObjectDownload(await open(path, 'w'));
  }

  /**
   * Takes what is missing, and not much more than `maxSizeBytes` in all. It can be called again.
   * @returns whether anything is there. @throws AppError `storage.unreachable`.
   */
  async continue(url: string, maxSizeBytes: number, signal: AbortSignal): Promise<boolean> {
    try {
      const headers = this.sizeBytes > 0 ? { range: `bytes=${this.sizeBytes}-` } : {};
      const answer = await send(url, { method: 'GET', headers, signal });
      if (this.sizeBytes > 0 && answer.statusCode !== PART) await this.restart();
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        await this.file.write(chunk, 0, chunk.length, this.sizeBytes);
        this.hash.update(chunk);
        this.sizeBytes += chunk.length;
        if (this.sizeBytes > maxSizeBytes) break; // another object, as its SHA-256 will tell
      }
      return true;
    } catch (cause) {
      if (cause instanceof Refusal && cause.status === NOTHING_THERE) return false;
      // It had broken off at its very end.
      if (cause instanceof Refusal && cause.status === BEHIND_ITS_END && this.sizeBytes > 0) return true;
      throw storageFault(cause);
    }
  }

  /** Nothing that has come counts any more. */
  async restart(): Promise<void> {
    this.hash = createHash('sha256');
    this.sizeBytes = 0;
    await this.file.truncate();
  }

  get sha256(): string {
    return this.hash.copy().digest('hex');
  }

  /** What has come is on the disk when this returns. */
  sync(): Promise<void> {
    return this.file.sync();
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

/** Stores a file whole with one PUT. @throws AppError `storage.unreachable`, `disk.full`. */
export async function putObject(source: string, sizeBytes: number, url: string, signal: AbortSignal): Promise<void> {
  try {
    const options = { method: 'PUT', headers: { 'content-length': sizeBytes }, signal };
    (await send(url, options, source)).resume();
  } catch (cause) {
    throw storageFault(cause);
  }
}

function send(url: string, options: RequestOptions, source?: string): Promise<IncomingMessage> {
  const request = url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const call = request(url, options, (answer) => {
      const status = answer.statusCode ?? 0;
      if (status >= 200 && status < 300) return resolve(answer);
      reject(new Refusal(status));
      call.destroy();
    });
    call.setTimeout(IDLE_TIMEOUT_MS, () => call.destroy(new Error(`no byte for ${IDLE_TIMEOUT_MS} ms`)));
    call.on('error', reject);
    if (source === undefined) call.end();
    else pipeline(createReadStream(source), call).catch(reject);
  });
}

/** Faults of this machine's disk stay what they are. */
function storageFault(cause: unknown): unknown {
  const { code = '' } = cause as NodeJS.ErrnoException;
  if (['ENOSPC', 'EDQUOT', 'EIO', 'ENOENT'].includes(code)) return cause;
  if (cause instanceof Refusal && cause.status === FULL)
    return new AppError('disk.full', 'The storage is full', { cause });
  return new AppError('storage.unreachable', 'The storage cannot be reached', { cause });
}

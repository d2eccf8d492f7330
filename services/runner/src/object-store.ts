import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { dirname } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { AppError } from '@luthier/contracts';
import { placeFile } from './files.js';

const TRANSFER_TIMEOUT_MS = 15 * 60_000;

/** The local path behind a `file://` URL; undefined for every other kind. */
export const localPathOf = (url: string): string | undefined =>
  url.startsWith('file://') ? fileURLToPath(url) : undefined;

/**
 * Brings one object to `target`, complete or not at all.
 * @throws AppError `storage.unreachable`, also when its sha256 is not the expected one.
 */
export async function download(url: string, target: string, expectedSha256?: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const draft = `${target}.part`;
  const hash = createHash('sha256');
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  try {
    const local = localPathOf(url);
    const source = local === undefined ? await open(url, { method: 'GET' }) : createReadStream(local);
    await pipeline(source, meter, createWriteStream(draft, { flush: true }));
    const found = hash.digest('hex');
    if (expectedSha256 !== undefined && found !== expectedSha256) {
      throw new AppError('storage.unreachable', `An input has the sha256 ${found} instead of ${expectedSha256}`);
    }
    await rename(draft, target);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Stores one file: a link or copy for `file://`, a PUT otherwise. */
export async function upload(source: string, url: string): Promise<void> {
  const local = localPathOf(url);
  if (local !== undefined) return placeFile(source, local);
  const { size } = await stat(source);
  const response = await open(url, { method: 'PUT', headers: { 'content-length': size } }, source);
  response.resume();
}

function open(url: string, options: RequestOptions, body?: string): Promise<IncomingMessage> {
  const send = url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void =>
      reject(new AppError('storage.unreachable', 'The storage cannot be reached', { cause }));
    const call = send(url, { ...options, signal: AbortSignal.timeout(TRANSFER_TIMEOUT_MS) }, (response) => {
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return resolve(response);
      response.resume();
      fail(new Error(`the storage answered ${status}`));
    });
    call.on('error', fail);
    if (body === undefined) call.end();
    else pipeline(createReadStream(body), call).catch(fail);
  });
}

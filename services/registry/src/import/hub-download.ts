import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { pipeToFile } from './pipe-to-file.js';

const CONNECT_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 60_000;
const REDIRECTS_MAX = 5;
const TRIES_PER_FILE = 3;
const LISTING_BYTES_MAX = 16 * 1024 * 1024;
/** Weights and settings at the top of the repository; nothing that has to be executed or unpickled. */
const WANTED = /^(?!\.)[\w.-]+\.(safetensors|json|jinja)$/;

const listing = z.object({
  sha: z.string().regex(/^[0-9a-f]{40,64}$/),
  siblings: z.array(
    z.object({
      rfilename: z.string(),
      size: z.int().nonnegative().nullish(),
      blobId: z.string().nullish(),
      lfs: z.object({ sha256: z.string(), size: z.int().nonnegative() }).nullish(),
    }),
  ),
});

export interface HubDownload {
  hubUrl: string;
  repository: string;
  revision: string;
  /** Finished files and `<name>.part` lie here; a later call goes on where this one ended. */
  into: string;
  bytesMax: number;
  signal: AbortSignal;
  /** @default 10000 */
  connectTimeoutMs?: number;
}

interface Digest {
  algorithm: 'sha256' | 'git-sha1';
  value: string;
}

/**
 * Downloads a model's files from a hub, checked against the hub's own sizes and digests.
 * @throws Error in words for the user.
 */
export async function downloadFromHub(options: HubDownload): Promise<{ revision: string; files: string[] }> {
  const { hubUrl, repository, revision, into, bytesMax } = options;
  const root = hubUrl.replace(/\/+$/, '');
  const response = await connect(`${root}/api/models/${repository}/revision/${revision}?blobs=true`, {}, options);
  if (!response.ok) throw new Error(`answered ${response.status} for ${repository}`);
  const { sha, siblings } = await readListing(response);
  const wanted = siblings.filter(({ rfilename }) => WANTED.test(rfilename));
  if (!wanted.some(({ rfilename }) => rfilename.endsWith('.safetensors'))) {
    throw new Error(`${repository} has no safetensors file`);
  }
  const total = wanted.reduce((sum, file) => sum + (file.lfs?.size ?? file.size ?? 0), 0);
  if (total > bytesMax) throw new Error(`${repository} has ${total} bytes, the limit is ${bytesMax}`);
  await mkdir(into, { recursive: true });
  for (const { rfilename: name, size, blobId, lfs } of wanted) {
    const url = `${root}/${repository}/resolve/${sha}/${encodeURIComponent(name)}`;
    const digest: Digest | undefined = lfs
      ? { algorithm: 'sha256', value: lfs.sha256 }
      : blobId && /^[0-9a-f]{40}$/.test(blobId)
        ? { algorithm: 'git-sha1', value: blobId }
        : undefined;
    await downloadFile(url, name, { ...options, sizeBytes: lfs?.size ?? size ?? undefined, digest });
  }
  return { revision: sha, files: wanted.map(({ rfilename }) => rfilename) };
}

async function readListing(response: Response): Promise<z.output<typeof listing>> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk as Uint8Array);
    sizeBytes += (chunk as Uint8Array).byteLength;
    if (sizeBytes > LISTING_BYTES_MAX) throw new Error('its list of files is too long');
  }
  try {
    return listing.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
  } catch (cause) {
    throw new Error('its list of files cannot be read', { cause });
  }
}

/** Waits for the answer's head only as long as the connect time-out; the body may take its time. */
async function connect(
  url: string,
  headers: Record<string, string>,
  { signal, connectTimeoutMs = CONNECT_TIMEOUT_MS }: HubDownload,
): Promise<Response> {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new Error(`no answer within ${connectTimeoutMs / 1000} s`)),
    connectTimeoutMs,
  );
  try {
    return await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.any([signal, controller.signal]) });
  } catch (cause) {
    signal.throwIfAborted();
    if (controller.signal.aborted) throw controller.signal.reason;
    throw new Error(`cannot be reached (${causeOf(cause)})`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

const causeOf = (thrown: unknown): string => {
  const inner = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown;
  return inner instanceof Error ? ((inner as NodeJS.ErrnoException).code ?? inner.message) : String(inner);
};

interface FileDownload extends HubDownload {
  sizeBytes: number | undefined;
  digest: Digest | undefined;
}

const sizeOf = async (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

async function downloadFile(url: string, name: string, options: FileDownload): Promise<void> {
  const path = join(options.into, name);
  if ((await sizeOf(path)) > 0) return; // renamed only after it was checked
  const part = `${path}.part`;
  let { sizeBytes, digest } = options;
  for (let tryNumber = 1; ; tryNumber += 1) {
    const told = await fetchRest(url, name, part, options).catch((cause: unknown) => {
      options.signal.throwIfAborted();
      if (tryNumber >= TRIES_PER_FILE) throw cause;
      return undefined;
    });
    sizeBytes ??= told?.sizeBytes;
    digest ??= told?.digest;
    const have = await sizeOf(part);
    if (told && (sizeBytes === undefined || have >= sizeBytes)) break;
    if (tryNumber >= TRIES_PER_FILE) throw new Error(`${name} ended after ${have} of ${sizeBytes ?? '?'} bytes`);
  }
  await check(part, name, sizeBytes, digest);
  await rename(part, path);
}

/** Appends what is missing to the part file. */
async function fetchRest(
  url: string,
  name: string,
  part: string,
  options: FileDownload,
): Promise<{ sizeBytes: number | undefined; digest: Digest | undefined }> {
  const have = await sizeOf(part);
  if (options.sizeBytes !== undefined && have >= options.sizeBytes) return { sizeBytes: have, digest: undefined };
  const headers: Record<string, string> = have > 0 ? { range: `bytes=${have}-` } : {};
  let linked: Digest | undefined;
  let linkedSize: number | undefined;
  let location = url;
  for (let hop = 0; ; hop += 1) {
    const response = await connect(location, headers, options);
    const etag = /^(?:W\/)?"?([0-9a-f]{64})"?$/.exec(response.headers.get('x-linked-etag') ?? '')?.[1];
    if (etag !== undefined) linked = { algorithm: 'sha256', value: etag };
    linkedSize ??= Number(response.headers.get('x-linked-size') ?? Number.NaN) || undefined;
    const next = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && next !== null) {
      await response.body?.cancel();
      if (hop >= REDIRECTS_MAX) throw new Error(`${name} is redirected too often`);
      location = new URL(next, location).href;
      if (!/^https?:$/.test(new URL(location).protocol))
        throw new Error(`${name} is redirected to an unusable address`);
      continue;
    }
    if (!response.ok || !response.body) throw new Error(`answered ${response.status} for ${name}`);
    const length = Number(response.headers.get('content-length') ?? Number.NaN);
    const resumed = response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${have}-`);
    await append(response.body, part, resumed ? have : 0, options);
    const whole = Number.isNaN(length) ? undefined : length + (resumed ? have : 0);
    return { sizeBytes: linkedSize ?? whole, digest: linked };
  }
}

async function append(body: ReadableStream, part: string, from: number, options: FileDownload): Promise<void> {
  const idle = new AbortController();
  const stalled = (): void => idle.abort(new Error('the download stalled'));
  let timer = setTimeout(stalled, IDLE_TIMEOUT_MS);
  let written = from;
  const limit = options.sizeBytes ?? options.bytesMax;
  const watch = async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      clearTimeout(timer);
      timer = setTimeout(stalled, IDLE_TIMEOUT_MS);
      written += chunk.byteLength;
      if (written > limit) throw new Error('more bytes came than were announced');
      yield chunk;
    }
  };
  try {
    await pipeToFile(
      Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]),
      watch,
      createWriteStream(part, { flags: from > 0 ? 'a' : 'w' }),
      AbortSignal.any([options.signal, idle.signal]),
    );
  } finally {
    clearTimeout(timer);
  }
}

async function check(
  part: string,
  name: string,
  sizeBytes: number | undefined,
  digest: Digest | undefined,
): Promise<void> {
  const size = await sizeOf(part);
  const refuse = async (why: string): Promise<never> => {
    await rm(part, { force: true });
    throw new Error(`${name} ${why}`);
  };
  if (sizeBytes !== undefined && size !== sizeBytes) await refuse(`has ${size} bytes, expected ${sizeBytes}`);
  if (!digest) return;
  const hash = createHash(digest.algorithm === 'sha256' ? 'sha256' : 'sha1');
  if (digest.algorithm === 'git-sha1') hash.update(`blob ${size}\0`);
  for await (const chunk of createReadStream(part)) hash.update(chunk as Buffer);
  if (hash.digest('hex') !== digest.value) await refuse('does not have the checksum that the hub names');
}

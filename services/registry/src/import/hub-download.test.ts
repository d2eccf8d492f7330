import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir, waitFor } from '@luthier/testing';
import { downloadFromHub } from './hub-download.js';

const SHA = 'a'.repeat(40);
const weights = Buffer.alloc(300_000, 7);
const config = Buffer.from('{"model_type":"llama"}');
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const gitSha1 = (bytes: Buffer): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

let server: Server;
let hubUrl: string;
let requests: { url: string; range: string | undefined }[];
let behaviour: {
  /** Until when the first body stays open; then its connection breaks. */
  breakFirst?: () => Promise<unknown>;
  truncateAlways?: boolean;
  wrongWeights?: boolean;
  missing?: boolean;
};

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = request.url ?? '';
  requests.push({ url, range: request.headers.range });
  if (behaviour.missing || !/tiny|cdn/.test(url)) return void response.writeHead(404).end();
  if (url.startsWith('/api/models/')) {
    const siblings = [
      { rfilename: 'config.json', size: config.length, blobId: gitSha1(config) },
      {
        rfilename: 'model.safetensors',
        size: weights.length,
        blobId: 'b'.repeat(40),
        lfs: { sha256: sha256(weights), size: weights.length },
      },
      { rfilename: 'pytorch_model.bin', size: 5 },
      { rfilename: 'onnx/model.json', size: 5 },
    ];
    return void response.end(JSON.stringify({ sha: SHA, siblings }));
  }
  if (url.endsWith('/config.json')) return void response.end(config);
  if (!url.startsWith('/cdn/')) {
    response.writeHead(302, {
      location: '/cdn/weights',
      'x-linked-etag': `"${sha256(weights)}"`,
      'x-linked-size': weights.length,
    });
    return void response.end();
  }
  const body = behaviour.wrongWeights ? Buffer.alloc(weights.length, 8) : weights;
  const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const part = body.subarray(from);
  response.writeHead(from > 0 ? 206 : 200, {
    'content-length': part.length,
    ...(from > 0 && { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` }),
  });
  const begin = part.subarray(0, Math.min(100_000, part.length - 1));
  if (behaviour.truncateAlways) return void response.write(begin, () => setImmediate(() => response.destroy()));
  if (behaviour.breakFirst && from === 0) {
    response.write(begin);
    return void behaviour.breakFirst().finally(() => response.destroy());
  }
  response.end(part);
}

beforeEach(async () => {
  requests = [];
  behaviour = {};
  server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const download = (into: string, more: object = {}): ReturnType<typeof downloadFromHub> =>
  downloadFromHub({
    hubUrl,
    repository: 'org/tiny',
    revision: 'main',
    into,
    bytesMax: 1_000_000,
    signal: AbortSignal.timeout(120_000),
    ...more,
  });

describe('download from a hub', () => {
  it('takes safetensors and settings only, through redirects, at one revision', async () => {
    const dir = await tempDir('hub');
    expect(await download(dir)).toEqual({ revision: SHA, files: ['config.json', 'model.safetensors'] });
    expect((await readFile(join(dir, 'model.safetensors'))).equals(weights)).toBe(true);
    expect(requests.some(({ url }) => /\.bin|onnx/.test(url))).toBe(false);
    expect(requests.filter(({ url }) => url.includes('/resolve/')).every(({ url }) => url.includes(SHA))).toBe(true);
  });

  it('goes on where a broken connection left it', async () => {
    const dir = await tempDir('hub');
    const part = join(dir, 'model.safetensors.part');
    behaviour = { breakFirst: () => waitFor(async () => (await stat(part)).size > 0) };
    await download(dir);
    expect((await readFile(join(dir, 'model.safetensors'))).equals(weights)).toBe(true);
    expect(requests.some(({ range }) => range !== undefined && range !== 'bytes=0-')).toBe(true);
  });

  it('goes on with the part that an earlier process left', async () => {
    const dir = await tempDir('hub');
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, 'model.safetensors.part'), weights.subarray(0, 250_000));
    await download(dir);
    expect(requests.find(({ url }) => url.startsWith('/cdn/'))?.range).toBe('bytes=250000-');
  });

  it('refuses a body that stays too short', async () => {
    behaviour = { truncateAlways: true };
    await expect(download(await tempDir('hub'))).rejects.toThrow();
  });

  it('refuses content with another checksum and keeps nothing of it', async () => {
    behaviour = { wrongWeights: true };
    const dir = await tempDir('hub');
    await expect(download(dir)).rejects.toThrow(/checksum/);
    await expect(readFile(join(dir, 'model.safetensors.part'))).rejects.toThrow();
  });

  it('says what an unknown repository answers, and refuses models above the limit', async () => {
    await expect(download(await tempDir('hub'), { bytesMax: 1_000 })).rejects.toThrow(/limit/);
    behaviour = { missing: true };
    await expect(download(await tempDir('hub'))).rejects.toThrow(/404/);
  });

  it('gives up on a hub that does not answer in time', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    await expect(download(await tempDir('hub'), { hubUrl: url, connectTimeoutMs: 50 })).rejects.toThrow(/no answer/);
    silent.closeAllConnections();
    silent.close();
  });
});

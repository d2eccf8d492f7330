import { createHash, randomBytes } from 'node:crypto';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { canRunS3, startS3, waitFor } from '@luthier/testing';
import type { TestS3 } from '@luthier/testing';
import { artifactStoreContract, openArtifactStore, readArtifact } from './index.js';
import type { ArtifactStore } from './index.js';
import { S3ArtifactStore } from './s3-artifact-store.js';
import { s3SettingsOf } from './s3-settings.js';

const MIB = 1024 * 1024;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const over = (url: string, settings: Record<string, string>): string => {
  const changed = new URL(url);
  for (const [name, value] of Object.entries(settings)) changed.searchParams.set(name, value);
  return changed.href;
};

const withS3 = (await canRunS3()) ? describe : describe.skip;

withS3('S3ArtifactStore', () => {
  let s3: TestS3;
  const open = async (): Promise<ArtifactStore> => openArtifactStore(await s3.createBucket());
  const send = async (method: string, url: string, body?: Uint8Array): Promise<{ status: number; body: Buffer }> => {
    const response = await fetch(url, { method, ...(body && { body: Buffer.from(body) }) });
    return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
  };
  /** A PUT whose length is said but not kept. */
  const sendPart = (url: string, sizeBytes: number, part: Uint8Array): Promise<void> =>
    new Promise((resolve) => {
      const call = request(url, { method: 'PUT', headers: { 'content-length': sizeBytes } });
      call.on('error', () => resolve());
      call.on('response', () => resolve());
      call.write(part, () => call.destroy());
    });

  beforeAll(async () => {
    s3 = await startS3();
    Object.assign(process.env, s3.environment);
  });
  afterAll(() => s3.stop());

  artifactStoreContract(
    'a prefix of a bucket',
    async () => openArtifactStore((await s3.createBucket()).replace('?', '/teams/luthier?')),
    { describe, it, equal: (actual, expected) => expect(actual).toEqual(expected) },
  );

  artifactStoreContract(
    'a bucket with more than one answer can hold',
    async () => new S3ArtifactStore(s3SettingsOf(await s3.createBucket()), 2),
    {
      ...{ describe, equal: (actual, expected) => expect(actual).toEqual(expected) },
      it: (name, body) => (/lists|removes/.test(name) ? it(name, body) : undefined),
    },
  );

  it('keeps stores of one bucket apart by their prefix', async () => {
    const url = await s3.createBucket();
    const [one, other] = await Promise.all(
      ['/one?', '/one-more?'].map((prefix) => openArtifactStore(url.replace('?', prefix))),
    );
    await other?.put('artifact://files/file-1/a', 'x');
    expect(await one?.list('artifact://files')).toEqual({ items: [] });
    expect(await one?.remove('artifact://files')).toBe(0);
  });

  it('stores what is longer than one part, and reads across its parts', async () => {
    const store = await open();
    const uri = 'artifact://models/model-1/weights';
    const content = randomBytes(20 * MIB);
    const pieces = Array.from({ length: 20 * 16 }, (_, i) => content.subarray((i * MIB) / 16, ((i + 1) * MIB) / 16));
    expect(await store.put(uri, Readable.from(pieces))).toMatchObject({
      sizeBytes: content.length,
      sha256: sha256(content),
    });
    const border = 8 * MIB;
    const part = Buffer.concat(await (await store.get(uri, { start: border - 5, end: border + 4 })).toArray());
    expect(part).toEqual(content.subarray(border - 5, border + 5));
    expect(sha256(await readArtifact(store, uri, 32 * MIB))).toBe(sha256(content));
  });

  it('leaves nothing of long content that is refused at its end, or breaks off', async () => {
    const bucket = await s3.createBucket();
    const store = await openArtifactStore(bucket);
    const uri = 'artifact://models/model-1/weights';
    const long = Buffer.alloc(9 * MIB, 7);
    await expect(store.put(uri, long, { expectedSha256: 'f'.repeat(64) })).rejects.toMatchObject({ code: 'data.bad' });
    await expect(store.put(uri, long, { maxSizeBytes: 9 * MIB - 1 })).rejects.toMatchObject({
      code: 'request.too-large',
    });
    const breaking = Readable.from(
      (async function* () {
        yield long;
        await Promise.resolve();
        throw new Error('the upload was cut');
      })(),
    );
    await expect(store.put(uri, breaking)).rejects.toThrow('the upload was cut');
    expect(await store.stat(uri)).toBeUndefined();
    const client = new S3Client({ endpoint: s3.endpoint, region: 'us-east-1', forcePathStyle: true });
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: new URL(bucket).hostname }));
    expect(Uploads).toEqual([]);
    client.destroy();
  });

  it('gives URLs that read and write one artifact, of the size that was said, for a while', async () => {
    const store = await open();
    const uri = 'artifact://runs/run-1/1/1/a b=c,d~@+e';
    const write = await store.urlFor(uri, 'write', { lifetimeSeconds: 60, sizeBytes: 5 });
    expect((await send('PUT', write, Buffer.from('longer'))).status).toBe(403);
    expect(await store.stat(uri)).toBeUndefined();
    expect((await send('PUT', write, Buffer.from('hello'))).status).toBe(200);
    const read = await store.urlFor(uri, 'read', { lifetimeSeconds: 60 });
    expect((await send('GET', read)).body.toString()).toBe('hello');
    expect((await send('PUT', read, Buffer.from('hello'))).status).toBe(403);
    expect((await send('GET', read.replace('run-1', 'run-2'))).status).toBe(403);
    expect((await send('GET', read.replace(/X-Amz-Expires=60/, 'X-Amz-Expires=600'))).status).toBe(403);
    const short = await store.urlFor(uri, 'read', { lifetimeSeconds: 1 });
    await waitFor(async () => (await send('GET', short)).status === 403);
  });

  it('takes nothing of a written artifact that was cut on the way', async () => {
    const store = await open();
    const uri = 'artifact://runs/run-1/1/1/weights';
    const url = await store.urlFor(uri, 'write', { lifetimeSeconds: 60, sizeBytes: 2 * MIB });
    await sendPart(url, 2 * MIB, Buffer.alloc(MIB));
    expect(await store.stat(uri)).toBeUndefined();
  });

  it('gives URLs at the name by which others reach the server', async () => {
    const store = await openArtifactStore(over(await s3.createBucket(), { publicEndpoint: 'https://s3.example.test' }));
    const url = await store.urlFor('artifact://a/b/c', 'read', { lifetimeSeconds: 60 });
    expect(url).toMatch(/^https:\/\/s3\.example\.test\/bucket-\d+\/a\/b\/c\?/);
  });

  it('reads on where an answer broke off', async () => {
    const url = await s3.createBucket();
    const content = randomBytes(3 * MIB);
    await (await openArtifactStore(url)).put('artifact://a/b/c', content);
    let answers = 0;
    const cutting = createServer((incoming, outgoing) => {
      // With the host that was signed.
      const forwarded = request(
        `${s3.endpoint}${incoming.url ?? ''}`,
        { method: incoming.method, headers: incoming.headers },
        (response) => {
          outgoing.writeHead(response.statusCode ?? 500, response.headers);
          if (++answers > 2) return void response.pipe(outgoing);
          let leftBytes = MIB + 1; // and not one more, however fast the rest comes
          response.on('data', (chunk: Buffer) => {
            if (leftBytes === 0) return;
            const part = chunk.subarray(0, leftBytes);
            leftBytes -= part.length;
            const isLast = leftBytes === 0;
            outgoing.write(part, () => isLast && outgoing.destroy());
          });
        },
      );
      incoming.pipe(forwarded);
    });
    await new Promise<void>((resolve) => cutting.listen(0, '127.0.0.1', resolve));
    const proxied = await openArtifactStore(
      over(url, { endpoint: `http://127.0.0.1:${(cutting.address() as AddressInfo).port}` }),
    );
    expect(sha256(await readArtifact(proxied, 'artifact://a/b/c'))).toBe(sha256(content));
    expect(answers).toBeGreaterThan(2);
    cutting.close();
  });

  it('says storage.unreachable where nobody listens, keys are wrong, or the bucket is not there', async () => {
    const url = await s3.createBucket();
    const gone = await openArtifactStore(over(url, { endpoint: 'http://127.0.0.1:1' }));
    const unreachable = { code: 'storage.unreachable' };
    await expect(gone.put('artifact://a/b/c', 'x')).rejects.toMatchObject(unreachable);
    await expect(gone.get('artifact://a/b/c')).rejects.toMatchObject(unreachable);
    await expect(gone.stat('artifact://a/b/c')).rejects.toMatchObject(unreachable);
    await expect(gone.list('artifact://a')).rejects.toMatchObject(unreachable);
    await expect(gone.remove('artifact://a')).rejects.toMatchObject(unreachable);
    const elsewhere = await openArtifactStore(url.replace(/bucket-\d+/, 'bucket-none'));
    await expect(elsewhere.list('artifact://a')).rejects.toMatchObject(unreachable);
    process.env['AWS_SECRET_ACCESS_KEY'] = 'wrong';
    const wrong = await openArtifactStore(url);
    const refused = await wrong.put('artifact://a/b/c', 'x').catch((cause: unknown) => cause);
    Object.assign(process.env, s3.environment);
    expect(refused).toMatchObject(unreachable);
    expect(inspect(refused, { depth: 9 })).not.toMatch(/Signature=|StringToSign/);
  });
});

import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient, unwrap, uploadFile } from '@luthier/api-client';
import { checkCluster, getCluster, getInventory, listCatalog, newId, readRunLog } from '@luthier/contracts';
import type { ClusterCheck } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { ensureApiKey, secretHash } from './auth/api-key.js';
import { KeyStore } from './auth/key.store.js';
import { jobRecordOf, modelRecordOf } from './testing/builders.js';
import { startGatewayFixture } from './testing/gateway-fixture.js';
import type { GatewayFixture } from './testing/gateway-fixture.js';
import { InMemoryPlatform } from './testing/in-memory-platform.js';

const json = { 'content-type': 'application/json' };

describe('the gateway', () => {
  let gateway: GatewayFixture;
  const platform = new InMemoryPlatform();
  let resets = 0;
  const web = createServer((request, response) => {
    if (resets > 0) {
      resets -= 1;
      request.socket.resetAndDestroy();
      return;
    }
    response.setHeader('x-seen-host', request.headers.host ?? '');
    response.end(`web ${request.url ?? ''} ${request.headers.cookie ?? 'no cookie'}`);
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    const { port } = web.address() as AddressInfo;
    gateway = await startGatewayFixture({ webUrl: `http://127.0.0.1:${port}` });
    platform.serve(gateway.responders);
  });
  afterAll(async () => {
    await gateway.stop();
    web.close();
  });

  describe('sign-in', () => {
    const signIn = (key: string, headers: Record<string, string> = {}) =>
      fetch(`${gateway.url}/api/v1/session`, {
        method: 'POST',
        headers: { ...json, ...headers },
        body: JSON.stringify({ key }),
      });

    it('gives a cookie that scripts and other sites cannot use, and forgets it on signing out', async () => {
      const response = await signIn(gateway.key);
      expect(response.status).toBe(201);
      expect(await response.json()).toMatchObject({ signed_in: true, via: 'session' });
      const set = response.headers.get('set-cookie') ?? '';
      expect(set).toMatch(/^luthier_session=[\w-]{43}; Max-Age=3600; Path=\/; HttpOnly; SameSite=Strict$/);
      const cookie = set.split(';')[0] ?? '';
      const call = (method: string, path: string, headers: Record<string, string> = {}) =>
        fetch(`${gateway.url}${path}`, { method, headers: { cookie, ...headers } });

      expect((await call('GET', '/api/v1/session')).status).toBe(200);
      expect((await call('GET', '/v1/models')).status).toBe(200);
      for (const foreign of [
        {},
        { origin: 'http://evil.test' },
        { 'sec-fetch-site': 'cross-site' },
        { 'sec-fetch-site': 'same-site' },
      ]) {
        const refused = await call('DELETE', '/api/v1/session', foreign);
        expect([refused.status, await refused.json()]).toMatchObject([403, { code: 'auth.foreign-origin' }]);
      }
      expect((await call('DELETE', '/api/v1/session', { origin: gateway.url })).status).toBe(204);
      expect((await call('GET', '/api/v1/session')).status).toBe(401);
    });

    it('refuses another site, and an address that keeps trying wrong keys', async () => {
      expect((await signIn(gateway.key, { origin: 'http://evil.test' })).status).toBe(403);
      const statuses: number[] = [];
      for (let n = 0; n < 11; n++) statuses.push((await signIn('lk-wrong')).status);
      expect(statuses).toEqual([...Array<number>(10).fill(401), 429]);
      expect((await signIn(gateway.key)).status).toBe(429);
      expect((await gateway.call('/v1/models')).status).toBe(200); // programs with the key go on
    });
  });

  describe('the key of the installation', () => {
    it('lies in a file that only the owner reads, and is stored hashed', async () => {
      const file = join(gateway.workDir, 'api-key');
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      expect(gateway.key).toMatch(/^lk-[\w-]{43}$/);
      expect(await gateway.service.app.get(KeyStore).hashes()).toEqual([secretHash(gateway.key)]);
      expect(await ensureApiKey(gateway.service.app.get(KeyStore), file)).toEqual({ file, created: false });
      expect(await readFile(file, 'utf8')).toBe(`${gateway.key}\n`);
    });

    it('is the same for whoever starts at the same time, and after a crash between file and store', async () => {
      const dir = await mkdtemp(join(tmpdir(), 'luthier-key-'));
      class Memory extends KeyStore {
        kept: string[] = [];
        hashes() {
          return Promise.resolve(this.kept);
        }
        addFirst(hash: string) {
          const first = this.kept.length === 0;
          if (first) this.kept = [hash];
          return Promise.resolve(first);
        }
      }
      const file = join(dir, 'api-key');
      const store = new Memory();
      const results = await Promise.all([1, 2, 3].map(() => ensureApiKey(store, file)));
      expect(results.filter(({ created }) => created)).toHaveLength(1);
      const key = (await readFile(file, 'utf8')).trim();
      expect(store.kept).toEqual([secretHash(key)]);
      const afterCrash = new Memory();
      await ensureApiKey(afterCrash, file);
      expect(afterCrash.kept).toEqual([secretHash(key)]);
      expect(await readdir(dir)).toEqual(['api-key']);
      await rm(dir, { recursive: true });
    });
  });

  it('serves the platform routes through the generated client', async () => {
    const client = createClient({ baseUrl: gateway.url, apiKey: gateway.key });
    const model = modelRecordOf();
    const job = jobRecordOf({ runId: newId('run'), metadata: { teamName: 'x' } });
    platform.models.set(model.id, model);
    platform.jobs.set(job.id, job);
    gateway.responders.answer(readRunLog, ({ tailBytes }) => ({
      ...{ text: `last ${tailBytes}`, truncated: true, cursor: 'c' },
    }));
    gateway.responders.answer(listCatalog, () => ({
      entries: [{ name: 'a', title: 'A', parameters: 1, license: 'x', languages: ['en'], sources: ['hub'] }],
    }));
    await gateway.responders.ready();

    const file = await uploadFile(client, { content: new Blob(['{}']), filename: 'a.jsonl', purpose: 'fine-tune' });
    expect(file).toMatchObject({ filename: 'a.jsonl', bytes: 2 });
    const path = { job_id: job.id };
    const record = await unwrap(client.GET('/api/v1/jobs/{job_id}', { params: { path } }));
    expect(record).toMatchObject({ base_model_id: null, metadata: { teamName: 'x' }, tuning: { lora_alpha: 32 } });
    const jobs = await unwrap(client.GET('/api/v1/jobs', { params: { query: { limit: 1 } } }));
    expect(jobs).toMatchObject({ items: [{ id: job.id }], has_more: false });
    expect((await unwrap(client.GET('/api/v1/catalog'))).entries[0]?.name).toBe('a');
    const log = await unwrap(client.GET('/api/v1/jobs/{job_id}/log', { params: { path, query: { tail_bytes: 9 } } }));
    expect(log).toEqual({ text: 'last 9', truncated: true, cursor: 'c' });
    const missing = unwrap(client.GET('/api/v1/datasets/{dataset_id}', { params: { path: { dataset_id: 'x' } } }));
    await expect(missing).rejects.toMatchObject({ status: 503, code: 'service.unavailable' });
  });

  it('shows the cluster and the findings of the doctor in snake_case', async () => {
    const { responders } = gateway;
    const stock = { total: 8, free: 3 };
    const device = { resource: 'nvidia.com/gpu', product: 'NVIDIA-A10', memoryMib: 24_564, ...stock };
    responders.answer(getCluster, () => ({
      ...{
        executor: 'kubernetes' as const,
        message: 'm',
        observedAt: 'now',
        namespace: 'runs',
        groups: [],
        quotas: [],
      },
      ...{ queues: null, watches: [{ name: 'nodes', connected: true, lastSyncAgeMs: 5 }] },
      nodes: [
        {
          ...{ name: 'gpu-1', ready: true, schedulable: true, computeMajor: 8, devices: [device], taints: [] },
          ...{ mig: 'none' as const, sharing: 'none' as const, cpu: stock, memoryMib: stock },
        },
      ],
    }));
    await responders.ready();
    const client = createClient({ baseUrl: gateway.url, apiKey: gateway.key });
    const cluster = await unwrap(client.GET('/api/v1/cluster'));
    expect(cluster).toMatchObject({ observed_at: 'now', watches: [{ last_sync_age_ms: 5 }] });
    expect(cluster.nodes[0]).toMatchObject({ compute_major: 8, devices: [{ memory_mib: 24_564, free: 3 }] });
    const nearest = { nodes: 2, devicesPerNode: 8, deviceType: null, otherType: false, withoutQueue: false };
    const params = { devicesPerNode: 16, largest: 8 };
    const failed: ClusterCheck = {
      ...{ topic: 'place', profile: 'gpu', id: 'place-never', state: 'fail', params: {} },
      ...{ check: 'a place for gpu', message: 'No node has 16 GPUs.', fix: 'Change the profile.' },
      obstacle: { reason: 'node-too-small', params, nearest },
    };
    responders.answer(checkCluster, () => ({ executor: 'kubernetes' as const, ok: false, checks: [failed] }));
    await responders.ready();
    const { checks } = await unwrap(client.GET('/api/v1/cluster/doctor'));
    const inWords = { nodes: 2, devices_per_node: 8, device_type: null, other_type: false, without_queue: false };
    expect(checks).toEqual([{ ...failed, obstacle: { reason: 'node-too-small', params, nearest: inWords } }]);
  });

  it('tells everybody its version, and which parts answer to those who are signed in', async () => {
    gateway.responders.answer(getInventory, () => ({ observedAt: 'now', profiles: [], countedRuns: [] }));
    await gateway.responders.ready();
    const open = await fetch(`${gateway.url}/api/v1/status`);
    expect(await open.json()).toEqual({ version: '0.1.0', ready: false });
    const { parts } = (await (await gateway.call('/api/v1/status')).json()) as { parts: object[] };
    expect(parts).toContainEqual({ name: 'training', ready: true, message: 'ok' });
    expect(parts).toContainEqual({ name: 'inference', ready: true, message: 'ok' });
    expect(parts).toContainEqual({ name: 'evaluation', ready: false, message: 'evaluation is not there' });
  });

  it('answers problems of the platform API as problem+json with the headers of every answer', async () => {
    const response = await gateway.call('/api/v1/nowhere?x=1', { headers: { 'x-request-id': 'my-own.id' } });
    expect(response.status).toBe(404);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/problem+json; charset=utf-8',
      'x-request-id': 'my-own.id',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
    expect(await response.json()).toMatchObject({
      code: 'route.not-found',
      detail: 'There is no GET /api/v1/nowhere',
      request_id: 'my-own.id',
    });
    const strict = { method: 'POST', headers: json, body: JSON.stringify({ model: 'a', localDir: '/x' }) };
    const refused = await gateway.call('/api/v1/models', strict);
    expect([refused.status, await refused.json()]).toMatchObject([400, { param: 'localDir (camelCase)' }]);
    expect((await fetch(`${gateway.url}/api/v1/jobs`)).status).toBe(401);
    expect((await fetch(`${gateway.url}/api/v1/openapi.json`)).status).toBe(200);
  });

  it('asks the dashboard for a page again where the connection is closed, as a server that ends does with kept ones', async () => {
    resets = 2;
    expect((await fetch(`${gateway.url}/jobs`)).status).toBe(200);
    resets = 1;
    expect((await fetch(`${gateway.url}/jobs`, { method: 'POST' })).status).toBe(502);
    expect(resets).toBe(0);
  });

  it('hands everything else to the dashboard, the API never', async () => {
    expect(await (await fetch(`${gateway.url}/jobs/1?tab=log`)).text()).toBe('web /jobs/1?tab=log no cookie');
    expect((await fetch(`${gateway.url}/v1`)).status).toBe(404);
    expect((await fetch(`${gateway.url}/api/other`)).status).toBe(404);
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
  });

  describe('uploads', () => {
    const BOUNDARY = 'luthier-test-boundary';
    const head = (name: string): string =>
      `--${BOUNDARY}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n` +
      `--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="${name}"\r\n\r\n`;
    const begin = (name: string) => {
      const { hostname, port } = new URL(gateway.url);
      const request = httpRequest({
        hostname,
        port,
        method: 'POST',
        path: '/v1/files',
        headers: {
          authorization: `Bearer ${gateway.key}`,
          'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
        },
      });
      request.write(head(name));
      return request;
    };
    const stored = async (): Promise<string[]> =>
      (await readdir(gateway.artifactsDir, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map(({ name }) => name);

    it('leave nothing behind when the client leaves in the middle', async () => {
      const before = await stored();
      const files = platform.files.size;
      const request = begin('left.jsonl');
      request.on('error', () => undefined);
      request.write(Buffer.alloc(1024 * 1024, 'x'));
      await waitFor(async () => (await stored()).some((name) => name.startsWith('.put-')));
      request.destroy();
      await waitFor(async () => JSON.stringify(await stored()) === JSON.stringify(before));
      expect(platform.files.size).toBe(files);
    });

    /** @returns the most memory of this process, in MiB, while a file is sent to it */
    const peakOf = async (sizeMib: number): Promise<number> => {
      const chunk = Buffer.alloc(256 * 1024, 'y');
      const total = sizeMib * 1024 * 1024;
      const filename = `${sizeMib}.jsonl`;
      globalThis.gc?.();
      let peak = process.memoryUsage().rss;
      const request = begin(filename);
      const answer = new Promise<string>((resolve, reject) => {
        request.on('error', reject);
        request.on('response', (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => (text += part));
          response.on('end', () => resolve(text));
        });
      });
      for (let sent = 0; sent < total; sent += chunk.length) {
        if (!request.write(chunk)) await new Promise<void>((resolve) => request.once('drain', () => resolve()));
        peak = Math.max(peak, process.memoryUsage().rss);
      }
      request.end(`\r\n--${BOUNDARY}--\r\n`);
      expect(JSON.parse(await answer)).toMatchObject({ bytes: total, filename });
      return peak / 1024 / 1024;
    };

    it('of 200 MB take less than 100 MB of memory more than one of 20 MB', async () => {
      const small = await peakOf(20);
      const riseMib = (await peakOf(200)) - small;
      process.stdout.write(`upload of 200 MiB: memory rose by ${riseMib.toFixed(0)} MiB\n`);
      expect(riseMib).toBeLessThan(100);
    });
  });
});

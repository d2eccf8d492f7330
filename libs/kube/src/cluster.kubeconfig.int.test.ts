import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { NAMESPACES } from './resources.js';
import { startFakeCluster } from './testing/against-fake.js';
import type { FakeCluster } from './testing/against-fake.js';

let cluster: FakeCluster;
let folder: string;
beforeEach(async () => {
  cluster = await startFakeCluster();
  folder = await mkdtemp(join(tmpdir(), 'luthier-kubeconfig-'));
});
afterEach(async () => {
  await cluster.stop();
  await rm(folder, { recursive: true, force: true });
});

async function kubeconfig(user: object, server = cluster.fake.url): Promise<string> {
  const file = join(folder, 'config');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'one',
    contexts: [{ name: 'one', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server } }],
    users: [{ name: 'u', user }],
  };
  await writeFile(file, JSON.stringify(config));
  return file;
}

describe('a client with a kubeconfig', () => {
  it('uses its token', async () => {
    const file = await kubeconfig({ token: cluster.fake.token });
    expect(await cluster.client({ cluster: { file } }).get(NAMESPACES, 'training')).toBeDefined();
  });

  it('reads a token file, also after a 401 because the token has been exchanged', async () => {
    await writeFile(join(folder, 'token'), `${cluster.fake.token}\n`);
    const client = cluster.client({ cluster: { file: await kubeconfig({ tokenFile: 'token' }) } });
    expect(await client.get(NAMESPACES, 'training')).toBeDefined();
    cluster.fake.token = 'the-next-token';
    await writeFile(join(folder, 'token'), 'the-next-token\n');
    expect(await client.get(NAMESPACES, 'training')).toBeDefined();
  });

  it('asks an exec plugin, and asks it again after a 401', async () => {
    const token = join(folder, 'token');
    await writeFile(token, cluster.fake.token);
    const script = `process.stdout.write(JSON.stringify({status:{token:require('fs').readFileSync(${JSON.stringify(token)},'utf8')}}))`;
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: process.execPath, args: ['-e', script] };
    const client = cluster.client({ cluster: { file: await kubeconfig({ exec }) } });
    expect(await client.get(NAMESPACES, 'training')).toBeDefined();
    cluster.fake.token = 'the-next-token';
    await writeFile(token, 'the-next-token');
    expect(await client.get(NAMESPACES, 'training')).toBeDefined();
  });

  it('says which file cannot be used, and uses it once it is there', async () => {
    const client = cluster.client({ cluster: { file: join(folder, 'config') } });
    await expect(client.get(NAMESPACES, 'training')).rejects.toMatchObject({
      kind: 'unauthorized',
      reason: 'NoCredentials',
      message: expect.stringContaining(join(folder, 'config')),
    });
    await kubeconfig({ token: cluster.fake.token });
    expect(await client.get(NAMESPACES, 'training')).toBeDefined();
  });

  it('keeps the path below which a management proxy serves the API', async () => {
    const file = await kubeconfig({ token: cluster.fake.token }, `${cluster.fake.url}/k8s/clusters/c-1`);
    await expect(cluster.client({ cluster: { file } }).get(NAMESPACES, 'training')).rejects.toMatchObject({
      notServed: true,
    });
    expect(cluster.fake.seen[0]?.path).toBe('/k8s/clusters/c-1/api/v1/namespaces/training');
  });
});

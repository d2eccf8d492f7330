import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openArtifactStore } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import { newId } from '@luthier/contracts';
import { canRunS3, startS3, tempDir, waitFor } from '@luthier/testing';
import type { TestS3 } from '@luthier/testing';
import { EndpointClient } from './endpoint-client.js';
import { describeFile } from './files.js';
import { ObjectStore } from './object-store.js';

/** Gives URLs as the run endpoint does, but the first of each operation has run out already. */
class LateEndpoint extends EndpointClient {
  readonly given: ('read' | 'write')[] = [];

  constructor(private readonly artifacts: ArtifactStore) {
    const nowhere = 'http://127.0.0.1:1';
    super({ url: nowhere, runId: newId('run'), attachToken: 'a', node: 0, onOrders: () => undefined });
  }

  override async objectUrl(operation: 'read' | 'write', uri: string, sizeBytes = 0): Promise<string> {
    const isFirst = !this.given.includes(operation);
    this.given.push(operation);
    const lifetimeSeconds = isFirst ? 1 : 60;
    const url = await this.artifacts.urlFor(uri, operation, {
      lifetimeSeconds,
      ...(operation === 'write' && { sizeBytes }),
    });
    if (isFirst) await waitFor(() => hasRunOut(url));
    return url;
  }
}

function hasRunOut(url: string): boolean {
  const signed = new URL(url).searchParams.get('X-Amz-Date') ?? '';
  const at = Date.parse(signed.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
  return Date.now() > at + 2_000;
}

((await canRunS3()) ? describe : describe.skip)('objects in S3', () => {
  let s3: TestS3;
  beforeAll(async () => {
    s3 = await startS3();
    Object.assign(process.env, s3.environment);
  });
  afterAll(() => s3.stop());

  it('are stored and fetched with a fresh URL when the first has run out', async () => {
    const dir = await tempDir('objects');
    const content = randomBytes(300_000);
    await writeFile(join(dir, 'source'), content);
    const { sha256, sizeBytes } = await describeFile(dir, 'source');
    const endpoint = new LateEndpoint(await openArtifactStore(await s3.createBucket()));
    const store = new ObjectStore(endpoint, 30_000);
    const { signal } = new AbortController();
    const uri = 'artifact://runs/run-1/1/1/weights.bin';
    await store.store(join(dir, 'source'), uri, () => Number.POSITIVE_INFINITY, signal);
    const path = await store.fetch(uri, join(dir, 'target'), { sha256, sizeBytes, fault: 'data.bad' }, signal);
    expect(content.equals(await readFile(path))).toBe(true);
    expect(endpoint.given).toEqual(['write', 'write', 'read', 'read']);
    endpoint.close();
  });
});

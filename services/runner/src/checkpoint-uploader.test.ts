import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { newId } from '@luthier/contracts';
import { tempDir, waitFor } from '@luthier/testing';
import { CheckpointUploader } from './checkpoint-uploader.js';
import { EndpointClient } from './endpoint-client.js';
import { ObjectStore } from './object-store.js';

const nowhere = { url: 'http://127.0.0.1:1', runId: newId('run'), attachToken: 'a', node: 0 };

/** Commits what is reported, unless other nodes are still missing. */
class Endpoint extends EndpointClient {
  readonly reported: number[] = [];
  others = 0;
  override reportCheckpoint(step: number): ReturnType<EndpointClient['reportCheckpoint']> {
    this.reported.push(step);
    const committed = { committed: true, uri: `artifact://runs/r/1/1/checkpoint-${step}`, sha256: 'a'.repeat(64) };
    return Promise.resolve(this.others > 0 ? { committed: false } : committed);
  }
}

/** Takes nothing while it is away. */
class Store extends ObjectStore {
  private back: () => void = () => undefined;
  private away = Promise.resolve();
  leave(): void {
    this.away = new Promise((resolve) => (this.back = resolve));
  }
  comeBack(): void {
    this.back();
  }
  override async store(): Promise<void> {
    await this.away;
  }
}

describe('checkpoints on their way into the store', () => {
  let dir: string;
  let endpoint: Endpoint;
  let store: Store;
  let uploads: CheckpointUploader;
  const add = async (step: number, loss?: number): Promise<void> => {
    await mkdir(join(dir, `checkpoint-${step}`));
    await writeFile(join(dir, `checkpoint-${step}`, 'weights.bin'), 'x');
    if (loss !== undefined) uploads.noteEvaluation(step, loss);
    uploads.add(step, `checkpoint-${step}`);
  };
  const local = async (): Promise<string[]> => (await readdir(dir)).sort();

  beforeEach(async () => {
    dir = await tempDir('uploads');
    endpoint = new Endpoint({ ...nowhere, onOrders: () => undefined });
    store = new Store(endpoint, 1_000);
    uploads = new CheckpointUploader({
      ...{ endpoint, store, outputDir: dir, baseUri: 'artifact://runs/r/1/1', note: () => undefined },
      ...{ deadlineMs: () => Number.POSITIVE_INFINITY, signal: new AbortController().signal },
    });
  });

  it('leave the disk when a newer one is stored', async () => {
    for (const step of [1, 2, 3]) {
      await add(step);
      await uploads.settle();
    }
    expect(endpoint.reported).toEqual([1, 2, 3]);
    expect(uploads.newest?.step).toBe(3);
    expect(await local()).toEqual(['checkpoint-3']);
  });

  it('leave the disk also on a node that is not the last to report', async () => {
    endpoint.others = 1;
    for (const step of [1, 2]) {
      await add(step);
      await uploads.settle();
    }
    expect(await local()).toEqual(['checkpoint-2']);
    expect(uploads.newest).toBeUndefined();
  });

  it('wait for a store that is away, but only the newest and the best of them', async () => {
    store.leave();
    await add(1, 0.9);
    for (const [step, loss] of [[2, 0.5], [3, 0.1], [4, 0.4], [5, 0.3]] as const) await add(step, loss); // prettier-ignore
    await waitFor(async () => (await local()).length === 3);
    expect(await local()).toEqual(['checkpoint-1', 'checkpoint-3', 'checkpoint-5']);
    store.comeBack();
    await uploads.settle();
    expect(endpoint.reported).toEqual([1, 3, 5]);
    expect(uploads.newest?.step).toBe(5);
    expect(await local()).toEqual(['checkpoint-5']);
  });
});

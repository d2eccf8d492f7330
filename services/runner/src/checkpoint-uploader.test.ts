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
  /** Times that something was to be stored. */
  asked = 0;
  private back: () => void = () => undefined;
  private away = Promise.resolve();
  leave(): void {
    this.away = new Promise((resolve) => (this.back = resolve));
  }
  comeBack(): void {
    this.back();
  }
  override async store(): Promise<void> {
    this.asked += 1;
    await this.away;
  }
}

/** One of the nodes of a run, with its disk and its way into the store. */
class Node {
  readonly endpoint = new Endpoint({ ...nowhere, onOrders: () => undefined });
  readonly store = new Store(this.endpoint, 1_000);
  readonly uploads: CheckpointUploader;
  constructor(
    readonly dir: string,
    nodes: number,
  ) {
    this.uploads = new CheckpointUploader({
      ...{ endpoint: this.endpoint, store: this.store, outputDir: dir, baseUri: 'artifact://runs/r/1/1' },
      ...{ deadlineMs: () => Number.POSITIVE_INFINITY, signal: new AbortController().signal },
      ...{ nodes: () => nodes, note: () => undefined },
    });
  }

  async add(step: number, loss?: number): Promise<void> {
    await mkdir(join(this.dir, `checkpoint-${step}`));
    await writeFile(join(this.dir, `checkpoint-${step}`, 'weights.bin'), 'x');
    if (loss !== undefined) this.uploads.noteEvaluation(step, loss);
    this.uploads.add(step, `checkpoint-${step}`);
  }

  /** Until the one that is being stored is told of, and the next one is begun or nothing is left. */
  async storeOne(): Promise<void> {
    const { reported } = this.endpoint;
    const told = reported.length;
    await waitFor(() => this.store.asked > told);
    const { asked } = this.store;
    this.store.comeBack();
    this.store.leave();
    await waitFor(() => reported.length > told);
    await Promise.race([waitFor(() => this.store.asked > asked), this.uploads.settle()]);
  }
}

describe('checkpoints on their way into the store', () => {
  let dir: string;
  let endpoint: Endpoint;
  let store: Store;
  let uploads: CheckpointUploader;
  let add: Node['add'];
  const local = async (): Promise<string[]> => (await readdir(dir)).sort();

  beforeEach(async () => {
    dir = await tempDir('uploads');
    const node = new Node(dir, 1);
    ({ endpoint, store, uploads } = node);
    add = (step, loss) => node.add(step, loss);
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

  it('are of the same steps on all nodes of a run, though each takes longer than the next one, and each its own time', async () => {
    const quick = new Node(await tempDir('uploads'), 2);
    const slow = new Node(await tempDir('uploads'), 2);
    for (const node of [quick, slow]) node.store.leave();
    for (let count = 1; count <= 20; count++) {
      // Only the first node hears of evaluations.
      await quick.add(count * 10, 20 - count);
      await slow.add(count * 10);
      if (count % 3 === 0) await quick.storeOne();
      if (count % 5 === 0) await slow.storeOne();
    }
    expect(slow.endpoint.reported).toEqual([10, 40, 80, 120]);
    expect(quick.endpoint.reported).toEqual(expect.arrayContaining(slow.endpoint.reported));
    expect((await readdir(slow.dir)).length).toBeLessThanOrEqual(4);
    for (const { store: away, uploads: last } of [quick, slow]) {
      away.comeBack();
      await last.settle();
    }
    expect([quick, slow].map((node) => node.endpoint.reported.at(-1))).toEqual([200, 200]);
  });
});

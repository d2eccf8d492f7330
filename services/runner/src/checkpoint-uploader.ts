import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EndpointClient } from './endpoint-client.js';
import { describeFile, filesBelow } from './files.js';
import type { StoredFile } from './files.js';
import type { ObjectStore } from './object-store.js';

export interface CommittedCheckpoint {
  step: number;
  uri: string;
  sha256: string;
}

export interface UploaderOptions {
  endpoint: EndpointClient;
  store: ObjectStore;
  outputDir: string;
  /** `artifact://runs/<runId>/<attempt>/<incarnation>` */
  baseUri: string;
  deadlineMs: () => number;
  signal: AbortSignal;
  /** How many nodes the run has. */
  nodes: () => number;
  note: (text: string) => void;
}

interface LocalCheckpoint {
  step: number;
  dir: string;
}

/**
 * Stores checkpoints one after the other. Of those that wait only the newest and one more are kept: a store that is away
 * for long must not fill the disk. The other one is the best. Where a run has several nodes, it is the roundest: a
 * checkpoint exists when all nodes have stored their share of it, and nodes that take their own time for each must choose
 * the same ones without asking each other.
 */
export class CheckpointUploader {
  newest: CommittedCheckpoint | undefined;
  private waiting: LocalCheckpoint[] = [];
  private storing: string | undefined;
  private readonly losses = new Map<number, number>();
  private working: Promise<void> | undefined;
  private fault: Error | undefined;
  /** The one stored last; the ones before it are only kept in the store. */
  private stored: LocalCheckpoint | undefined;

  constructor(private readonly options: UploaderOptions) {}

  /** The runtime has completed a checkpoint in `dir`, relative to its output folder. */
  add(step: number, dir: string): void {
    const all = [...this.waiting.filter((one) => one.dir !== dir), { step, dir }];
    const kept = this.options.nodes() > 1 ? roundestOf(all) : this.bestOf(all);
    this.waiting = all.filter((one) => one === kept || one === all.at(-1));
    for (const one of all) {
      if (!this.waiting.includes(one) && one.dir !== this.storing) void this.removeLocal(one);
    }
    this.working ??= this.work().finally(() => (this.working = undefined));
  }

  noteEvaluation(step: number, loss: number): void {
    this.losses.set(step, loss);
  }

  /** Waits until everything is stored. @throws what the newest checkpoint could not be stored for. */
  async settle(): Promise<void> {
    while (this.working) await this.working;
    if (this.fault) throw this.fault;
  }

  private bestOf(checkpoints: readonly LocalCheckpoint[]): LocalCheckpoint | undefined {
    const lossOf = ({ step }: LocalCheckpoint): number => this.losses.get(step) ?? Number.POSITIVE_INFINITY;
    const best = checkpoints.toSorted((a, b) => lossOf(a) - lossOf(b))[0];
    return best && this.losses.has(best.step) ? best : undefined;
  }

  private async work(): Promise<void> {
    for (let next = this.waiting.shift(); next; next = this.waiting.shift()) {
      this.storing = next.dir;
      try {
        await this.store(next);
        this.fault = undefined;
      } catch (cause) {
        // The run goes on: the next checkpoint may find space or network again; the last one decides at the end.
        this.fault = cause instanceof Error ? cause : new Error(String(cause));
        this.options.note(`checkpoint ${next.step} is not stored: ${this.fault.message}`);
      }
    }
  }

  private async store(checkpoint: LocalCheckpoint): Promise<void> {
    const { endpoint, store, outputDir, baseUri, deadlineMs, signal } = this.options;
    const { step, dir } = checkpoint;
    const folder = join(outputDir, dir);
    const target = `${baseUri}/checkpoint-${step}`;
    const files: StoredFile[] = [];
    for (const name of await filesBelow(folder)) files.push(await describeFile(folder, name));
    for (const { name } of files) await store.store(join(folder, name), `${target}/${name}`, deadlineMs, signal);
    const answer = await endpoint.persistently(() => endpoint.reportCheckpoint(step, files), deadlineMs, signal);
    if (answer.committed && answer.uri !== undefined && answer.sha256 !== undefined) {
      this.newest = { step, uri: answer.uri, sha256: answer.sha256 };
    }
    const before = this.stored;
    this.stored = checkpoint;
    if (before !== undefined && before.dir !== dir) await this.removeLocal(before);
  }

  private async removeLocal({ dir }: LocalCheckpoint): Promise<void> {
    await rm(join(this.options.outputDir, dir), { recursive: true, force: true }).catch((cause: unknown) =>
      this.options.note(`${dir} cannot be removed: ${String(cause)}`),
    );
  }
}

/** Whose step the largest power of two divides: the fewer a node can store, the rounder they are, and the others have them too. */
const roundestOf = (checkpoints: readonly LocalCheckpoint[]): LocalCheckpoint | undefined =>
  checkpoints.toSorted((a, b) => largestPowerOfTwoIn(b.step) - largestPowerOfTwoIn(a.step) || b.step - a.step)[0];

const largestPowerOfTwoIn = (step: number): number => step & -step;

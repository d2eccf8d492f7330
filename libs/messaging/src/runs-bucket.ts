import { JetStreamApiError } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import type { KV, KvEntry } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { z } from 'zod';
import { AppError, RUNS_BUCKET, runSpec, runSpecKey, runStatus, runStatusKey } from '@luthier/contracts';
import type { RunSpec, RunStatus } from '@luthier/contracts';
import { parsePayload } from './validation.js';
import { watchBucket } from './runs-watch.js';

export type RunSide = 'spec' | 'status';
export interface RunSides {
  spec: RunSpec;
  status: RunStatus;
}

export interface RunEntry<Side extends RunSide> {
  readonly runId: string;
  readonly value: RunSides[Side];
  /** For compare-and-set. */
  readonly revision: number;
}

/** `list`: everything there is (what is missing is gone); `put` and `gone`: one change. */
export type RunChange<Side extends RunSide> =
  | { readonly type: 'list'; readonly entries: readonly RunEntry<Side>[] }
  | { readonly type: 'put'; readonly entry: RunEntry<Side> }
  | { readonly type: 'gone'; readonly runId: string };

export interface WatchOptions {
  signal: AbortSignal;
  /** How often everything is listed again besides watching. @default 60000 */
  relistIntervalMs?: number;
}

/** Somebody else wrote the key since it was read. Read again and decide anew. */
export class RevisionConflict extends Error {
  override readonly name = 'RevisionConflict';
}

const SCHEMAS: { [Side in RunSide]: z.ZodType<RunSides[Side]> } = { spec: runSpec, status: runStatus };
const keyOf = (side: RunSide, runId: string): string => (side === 'spec' ? runSpecKey(runId) : runStatusKey(runId));

const WRONG_LAST_SEQUENCE = 10071;
const LIST_TIMEOUT_MS = 10_000;

/** The bucket `LUTHIER_RUNS`: what should be (written by training) and what is (written by the trainer), per run. */
export class RunsBucket {
  private bucket: Promise<KV> | undefined;

  /** @param onInvalid told of a key whose value does not match the contract; such an entry is left out. */
  constructor(
    private readonly connection: NatsConnection,
    private readonly onInvalid: (key: string, cause: unknown) => void = () => undefined,
  ) {}

  async get<Side extends RunSide>(side: Side, runId: string): Promise<RunEntry<Side> | undefined> {
    const kv = await this.open();
    const entry = await kv.get(keyOf(side, runId));
    return entry ? this.read(side, entry) : undefined;
  }

  /** Writes whatever was there before; returns the new revision. */
  async put<Side extends RunSide>(side: Side, value: RunSides[Side]): Promise<number> {
    const checked = parsePayload(SCHEMAS[side], value);
    const kv = await this.open();
    return kv.put(keyOf(side, checked.runId), JSON.stringify(checked), { timeout: 5_000 });
  }

  /**
   * Writes only if the key still has `revision` (0: only if it does not exist); returns the new revision.
   * @throws RevisionConflict when somebody else was faster.
   */
  async compareAndSet<Side extends RunSide>(side: Side, value: RunSides[Side], revision: number): Promise<number> {
    const checked = parsePayload(SCHEMAS[side], value);
    const key = keyOf(side, checked.runId);
    const kv = await this.open();
    try {
      const text = JSON.stringify(checked);
      return revision === 0 ? await kv.create(key, text) : await kv.update(key, text, revision, 5_000);
    } catch (cause) {
      if (cause instanceof JetStreamApiError && cause.code === WRONG_LAST_SEQUENCE) {
        throw new RevisionConflict(`"${key}" is not at revision ${revision} any more`, { cause });
      }
      throw cause;
    }
  }

  /** Everything there is. @throws AppError `request.timeout` rather than a list with holes. */
  async list<Side extends RunSide>(side: Side): Promise<RunEntry<Side>[]> {
    const kv = await this.open();
    const entries: RunEntry<Side>[] = [];
    const found = await kv.history({ key: keyOf(side, '*') });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      found.stop();
    }, LIST_TIMEOUT_MS);
    try {
      for await (const raw of found) {
        const entry = this.read(side, raw);
        if (entry) entries.push(entry);
      }
    } finally {
      clearTimeout(timer);
    }
    if (late) throw new AppError('request.timeout', `${RUNS_BUCKET} could not be listed within ${LIST_TIMEOUT_MS} ms`);
    return entries;
  }

  /** Removes key and history; no error when there is none. */
  async delete(side: RunSide, runId: string): Promise<void> {
    const kv = await this.open();
    await kv.purge(keyOf(side, runId));
  }

  /**
   * Changes as they happen, beginning with a list, and a new list after each reconnect and each `relistIntervalMs`: a
   * change that the watch missed is seen there. Ends when `signal` is aborted; survives a server that goes away.
   */
  watch<Side extends RunSide>(side: Side, options: WatchOptions): AsyncIterableIterator<RunChange<Side>> {
    return watchBucket({
      connection: this.connection,
      open: () => this.open(),
      key: keyOf(side, '*'),
      list: () => this.list(side),
      read: (entry) => this.read(side, entry),
      ...options,
    });
  }

  private open(): Promise<KV> {
    this.bucket ??= new Kvm(this.connection).open(RUNS_BUCKET).catch((cause: unknown) => {
      this.bucket = undefined; // the next call tries again
      throw cause;
    });
    return this.bucket;
  }

  private read<Side extends RunSide>(side: Side, entry: KvEntry): RunEntry<Side> | undefined {
    if (entry.operation !== 'PUT') return undefined;
    try {
      const value = parsePayload(SCHEMAS[side], entry.json());
      return { runId: value.runId, value, revision: entry.revision };
    } catch (cause) {
      this.onInvalid(entry.key, cause);
      return undefined;
    }
  }
}

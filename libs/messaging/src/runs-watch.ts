import type { KV, KvEntry } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { RunChange, RunEntry, RunSide } from './runs-bucket.js';

interface WatchSource<Side extends RunSide> {
  connection: NatsConnection;
  open: () => Promise<KV>;
  key: string;
  list: () => Promise<RunEntry<Side>[]>;
  read: (entry: KvEntry) => RunEntry<Side> | undefined;
  signal: AbortSignal;
  relistIntervalMs?: number;
}

/** A list request that gets no answer (server gone) is tried again this much later. */
const RETRY_MS = 500;

/**
 * One queue fed by three sources (the watch, the timer, reconnects). Changes of the same key that pile up while the
 * consumer is busy are kept once, so the queue is bounded by the number of runs.
 */
export async function* watchBucket<Side extends RunSide>(
  source: WatchSource<Side>,
): AsyncIterableIterator<RunChange<Side>> {
  const inbox = new ChangeQueue<Side>();
  const { signal } = source;
  const relist = setInterval(() => inbox.askForList(), source.relistIntervalMs ?? 60_000);
  const stop = (): void => inbox.wake();
  signal.addEventListener('abort', stop);
  const following = follow(source, inbox);
  try {
    inbox.askForList();
    while (!signal.aborted) {
      if (inbox.takeListRequest()) {
        try {
          yield { type: 'list', entries: await source.list() };
        } catch {
          if (!signal.aborted) setTimeout(() => inbox.askForList(), RETRY_MS).unref();
        }
        continue;
      }
      const change = inbox.take();
      if (change) yield change;
      else await inbox.changed();
    }
  } finally {
    clearInterval(relist);
    signal.removeEventListener('abort', stop);
    following.end();
  }
}

/** Watches from now on; starts the watch again when it ends, and asks for a list each time and at each reconnect. */
function follow<Side extends RunSide>(source: WatchSource<Side>, inbox: ChangeQueue<Side>): { end: () => void } {
  let ended = false;
  let current: { stop: () => void } | undefined;
  const statuses = source.connection.status();
  const readStatuses = async (): Promise<void> => {
    for await (const status of statuses) {
      if (ended) return;
      if (status.type === 'reconnect') {
        current?.stop();
        inbox.askForList();
      }
    }
  };
  const readChanges = async (): Promise<void> => {
    while (!ended) {
      try {
        const kv = await source.open();
        const changes = await kv.watch({ key: source.key, include: 'updates' });
        current = changes;
        inbox.askForList();
        for await (const raw of changes) {
          const entry = source.read(raw);
          if (entry) inbox.put({ type: 'put', entry }, entry.runId);
          else if (raw.operation !== 'PUT') inbox.gone(raw.key.slice(0, raw.key.lastIndexOf('.')));
        }
      } catch {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  };
  void readStatuses();
  void readChanges();
  return {
    end: () => {
      ended = true;
      current?.stop();
      if ('stop' in statuses && typeof statuses.stop === 'function') (statuses.stop as () => void)();
    },
  };
}

class ChangeQueue<Side extends RunSide> {
  private readonly changes = new Map<string, RunChange<Side>>();
  private listWanted = false;
  private waiting: (() => void) | undefined;

  put(change: RunChange<Side>, runId: string): void {
    this.changes.delete(runId); // to the end: order of the last writes
    this.changes.set(runId, change);
    this.wake();
  }

  gone(runId: string): void {
    this.put({ type: 'gone', runId }, runId);
  }

  askForList(): void {
    this.listWanted = true;
    this.wake();
  }

  /** A list contains every earlier change, so they are dropped with it. */
  takeListRequest(): boolean {
    const wanted = this.listWanted;
    this.listWanted = false;
    if (wanted) this.changes.clear();
    return wanted;
  }

  take(): RunChange<Side> | undefined {
    const [first] = this.changes;
    if (!first) return undefined;
    this.changes.delete(first[0]);
    return first[1];
  }

  changed(): Promise<void> {
    return new Promise((resolve) => (this.waiting = resolve));
  }

  wake(): void {
    this.waiting?.();
    this.waiting = undefined;
  }
}

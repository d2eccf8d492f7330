import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from './backoff.js';
import type { BackoffOptions } from './backoff.js';
import type { KubeClient } from './kube-client.js';
import { isKubeError } from './kube-error.js';
import type { KubeLogger } from './kube-logger.js';
import type { KubeMetrics } from './kube-metrics.js';
import { ObjectCache } from './object-cache.js';
import type { ChangeListener } from './object-cache.js';
import type { KubeObject } from './objects.js';
import { keyOf } from './resources.js';
import type { Resource } from './resources.js';
import type { WatchEvent } from './watch.js';

export interface ReflectorOptions<T extends KubeObject> {
  client: KubeClient;
  resource: Resource<T>;
  /** All namespaces when left out. */
  namespace?: string | undefined;
  labelSelector?: string;
  fieldSelector?: string;
  /** Drops what nobody reads before an object is kept. `managedFields` are dropped anyway. Must not throw. */
  trim?: (object: T) => T;
  /** @default the client's */
  metrics?: KubeMetrics | undefined;
  logger?: KubeLogger;
  /** A watch without a byte for this long is opened anew; bookmarks mostly come once a minute. @default 120 s */
  silenceMs?: number;
  /** How often to look whether a kind that is not installed has come. @default 120 s */
  absentRecheckMs?: number;
  /** Between failed tries. @default 0.5 s to 30 s */
  backoff?: BackoffOptions;
}

/** A watch that ends sooner than this has not earned to be opened again at once. */
const SHORT_WATCH_MS = 5_000;

/**
 * Keeps a copy of all objects of a kind, by list and watch, and tells of changes. It goes on for ever: whatever fails is
 * tried again with pauses, and after a gap everything is listed and compared, so that deletions are told too.
 *
 * Listeners should only put the key into a queue. One that throws is logged, and disturbs nobody.
 */
export class Reflector<T extends KubeObject> {
  private readonly listeners = new Set<ChangeListener<T>>();
  private readonly cache = new ObjectCache<T>((key, now, before) => this.tell(key, now, before));
  private readonly synced = Promise.withResolvers<void>();
  private running: { stop: AbortController; ended: Promise<void> } | undefined;
  private forgetMetrics: (() => void) | undefined;
  /** Undefined when only a list can tell where to go on. */
  private version: string | undefined;
  private open = false;
  private missing = false;
  private confirmedAt: number | undefined;

  constructor(private readonly options: ReflectorOptions<T>) {}

  /** @returns a function that ends the listening */
  onChange(listener: ChangeListener<T>): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Begins; does nothing when it has begun. */
  start(): void {
    if (this.running) return;
    const { client, resource, namespace, metrics = client.metrics } = this.options;
    this.confirmedAt ??= performance.now();
    this.forgetMetrics = metrics?.addWatch(resource.plural, namespace, this);
    const stop = new AbortController();
    this.running = { stop, ended: this.run(stop.signal) };
  }

  /** Ends the watch. What is known stays readable; a later `start` goes on from there. */
  async stop(): Promise<void> {
    const { running } = this;
    if (!running) return;
    running.stop.abort();
    await running.ended;
    if (this.running !== running) return;
    this.running = undefined;
    this.forgetMetrics?.();
  }

  /** Resolves when everything was listed once. Rejects with the signal's reason. */
  async whenSynced(signal?: AbortSignal): Promise<void> {
    if (!signal) return this.synced.promise;
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      await Promise.race([this.synced.promise, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** By `namespace/name`, or `name` where the kind has no namespaces. */
  get(key: string): T | undefined {
    return this.cache.get(key);
  }

  list(): readonly T[] {
    return this.cache.list();
  }

  /** A watch is open. */
  get connected(): boolean {
    return this.open;
  }

  /** The API has said that the kind is not installed; it is looked for again. */
  get absent(): boolean {
    return this.missing;
  }

  /** Time since the API last confirmed what is known: by a list, a watch it opened, an event. At first, since `start`. */
  get lastSyncAgeMs(): number {
    return this.confirmedAt === undefined ? 0 : performance.now() - this.confirmedAt;
  }

  private async run(signal: AbortSignal): Promise<void> {
    const { backoff = { baseMs: 500, maxMs: 30_000 }, logger, resource } = this.options;
    let failures = 0;
    const succeeded = (): void => void (failures = 0);
    while (!signal.aborted) {
      let pauseMs = 0;
      try {
        if (this.version === undefined) await this.listAll(signal);
        const lasted = await this.watch(signal, succeeded);
        if (lasted < SHORT_WATCH_MS) pauseMs = backoffMs((failures += 1), backoff, Math.random());
        else succeeded();
      } catch (error) {
        if (signal.aborted) break;
        pauseMs = backoffMs((failures += 1), backoff, Math.random());
        // Also after an answer that could not be read, only a list tells for sure where to go on.
        if (isKubeError(error, 'gone', 'server-error', 'invalid', 'not-found')) this.version = undefined;
        if (isKubeError(error, 'not-found') && error.notServed) {
          logger?.info(
            { resource: resource.plural },
            `${resource.kind} is not installed in this cluster; looking again later`,
          );
          await this.untilServed(signal);
          continue;
        }
        const fields = { resource: resource.plural, err: error, pauseMs: Math.round(pauseMs) };
        // Both are part of normal life: a server that was restarted sends no bookmarks for a kind until it changes.
        if (isKubeError(error, 'gone', 'timeout')) logger?.debug(fields, 'A watch is opened anew');
        else logger?.warn(fields, 'A watch is opened anew');
      }
      await pause(pauseMs, signal);
    }
  }

  private async listAll(signal: AbortSignal): Promise<void> {
    const { client, resource, namespace, labelSelector, fieldSelector } = this.options;
    const kept: T[] = [];
    const version = await client.listEach(
      resource,
      { namespace, labelSelector, fieldSelector, signal },
      (object) => kept.push(this.trimmed(object)),
      () => void (kept.length = 0),
    );
    this.missing = false;
    this.cache.replaceAll(kept);
    this.version = version;
    this.confirmedAt = performance.now();
    this.synced.resolve();
  }

  /** @returns how long the watch was open, in ms */
  private async watch(signal: AbortSignal, succeeded: () => void): Promise<number> {
    const { client, resource, namespace, labelSelector, fieldSelector, silenceMs } = this.options;
    const started = performance.now();
    try {
      const events = client.watch(resource, {
        namespace,
        labelSelector,
        fieldSelector,
        resourceVersion: this.version ?? '',
        signal,
        ...(silenceMs !== undefined && { silenceMs }),
        onOpen: () => {
          this.open = true;
          // The API agrees to tell all that comes after what we know.
          this.confirmedAt = performance.now();
        },
      });
      for await (const event of events) {
        this.take(event);
        succeeded();
      }
      return performance.now() - started;
    } finally {
      this.open = false;
    }
  }

  private take({ type, object }: WatchEvent<T>): void {
    if (type === 'DELETED') this.cache.remove(keyOf(object));
    else if (type !== 'BOOKMARK') this.cache.put(this.trimmed(object));
    this.version = object.metadata?.resourceVersion ?? this.version;
    this.confirmedAt = performance.now();
  }

  private trimmed(object: T): T {
    const { trim } = this.options;
    const { managedFields: _, ...metadata } = object.metadata ?? {};
    const kept: T = { ...object, metadata };
    if (!trim) return kept;
    try {
      return trim(kept);
    } catch (error) {
      this.options.logger?.error(
        { err: error, key: keyOf(object) },
        'An object could not be trimmed and is kept whole',
      );
      return kept;
    }
  }

  private async untilServed(signal: AbortSignal): Promise<void> {
    const { client, resource, absentRecheckMs = 120_000, logger } = this.options;
    // Nothing is known of a kind that does not exist, and that is all there is to know.
    this.missing = true;
    this.cache.replaceAll([]);
    this.synced.resolve();
    while (!signal.aborted) {
      this.confirmedAt = performance.now();
      await pause(absentRecheckMs * (0.75 + 0.5 * Math.random()), signal);
      try {
        if (await client.serves(resource, signal)) return;
      } catch (error) {
        if (!signal.aborted) logger?.warn({ err: error, resource: resource.plural }, 'Looking for a kind failed');
      }
    }
  }

  private tell(key: string, now: T | undefined, before: T | undefined): void {
    for (const listener of this.listeners) {
      try {
        // A listener that is async by mistake must not end the process with an unhandled rejection.
        const result: unknown = listener(key, now, before);
        if (result instanceof Promise) result.catch((error: unknown) => this.complain(key, error));
      } catch (error) {
        this.complain(key, error);
      }
    }
  }

  private complain(key: string, error: unknown): void {
    this.options.logger?.error({ key, resource: this.options.resource.plural, err: error }, 'A listener threw');
  }
}

/** Waits, or returns early when the signal aborts. */
const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  ms <= 0 ? Promise.resolve() : sleep(ms, undefined, { signal }).catch(() => undefined);

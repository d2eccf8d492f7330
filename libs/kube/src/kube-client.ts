import type {
  AccessQuestion,
  DeleteOptions,
  KubeClientOptions,
  ListOptions,
  Page,
  Selection,
  WatchOptions,
} from './client-options.js';
import { ClusterOfKubeconfig } from './cluster.kubeconfig.js';
import { ClusterOfValues } from './cluster.given.js';
import { discover, serves } from './discover.js';
import { KubeError, REASONS, isKubeError } from './kube-error.js';
import type { KubeMetrics } from './kube-metrics.js';
import type { KubeObject } from './objects.js';
import { readLog } from './pod-logs.js';
import type { ReadLogOptions } from './pod-logs.js';
import { RequestPath } from './request-path.js';
import type { Call } from './request-path.js';
import { ACCESS_REVIEW_PATH, isNamed, pathOf } from './resources.js';
import type { Resource } from './resources.js';
import { readEvents } from './watch.js';
import type { WatchEvent } from './watch.js';

interface RawList {
  metadata?: { resourceVersion?: string; continue?: string };
  items?: unknown[] | null;
}

const PAGE_SIZE = 500;
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/**
 * A small, bounded client of the Kubernetes API. Every call has a time-out, is tried again where that is safe, and
 * rejects with a {@link KubeError} or, when the caller's signal aborts, with the signal's reason.
 */
export class KubeClient {
  private readonly requests: RequestPath;

  private constructor(private readonly options: KubeClientOptions) {
    const { cluster, timeoutMs = 15_000, qps = 50, burst = 100, maxTries = 4 } = options;
    const given = typeof cluster === 'object' && 'server' in cluster;
    this.requests = new RequestPath({
      cluster: given ? new ClusterOfValues(cluster) : new ClusterOfKubeconfig(cluster),
      timeoutMs,
      limit: { perSecond: qps, burst },
      maxTries,
      backoff: options.backoff ?? { baseMs: 250, maxMs: 5_000 },
      maxAnswerBytes: options.maxAnswerBytes ?? 64 * 1024 * 1024,
      userAgent: options.fieldManager,
      metrics: options.metrics,
    });
  }

  /** Asks nothing yet; a kubeconfig is read at the first request. */
  static fromConfig(options: KubeClientOptions): KubeClient {
    return new KubeClient(options);
  }

  get metrics(): KubeMetrics | undefined {
    return this.options.metrics;
  }

  /** Undefined when there is no such object. @throws KubeError `not-found` with `notServed` for an unknown kind */
  async get<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    namespace?: string,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    try {
      return await this.requests.json<T>(this.call('get', resource, { namespace, name }, signal));
    } catch (error) {
      if (isKubeError(error, 'not-found') && !error.notServed) return undefined;
      throw error;
    }
  }

  /** One page. @throws KubeError `gone` when `continue` is too old */
  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<Page<T>> {
    const { namespace, labelSelector, fieldSelector, limit, resourceVersion, signal } = options;
    const page = await this.requests.json<RawList | null>({
      ...this.call('list', resource, { namespace }, signal),
      query: { labelSelector, fieldSelector, limit, continue: options.continue, resourceVersion },
    });
    const items = page?.items ?? [];
    const version = page?.metadata?.resourceVersion;
    if (!version || !Array.isArray(items) || !items.every(isNamed))
      throw new KubeError('server-error', `Kubernetes: list ${resource.plural}: the answer is no list`, {
        reason: REASONS.unreadable,
      });
    // Objects of a list come without their kind; with it, they are the same as those of a watch.
    const { apiVersion, kind } = resource;
    return {
      items: items.map((item) => ({ ...(item as T), apiVersion, kind })),
      resourceVersion: version,
      ...(page?.metadata?.continue && { continue: page.metadata.continue }),
    };
  }

  /** All pages of one consistent list, 500 objects at a time. */
  async listAll<T extends KubeObject>(
    resource: Resource<T>,
    options: Selection & { limit?: number } = {},
  ): Promise<{ items: T[]; resourceVersion: string }> {
    const items: T[] = [];
    const resourceVersion = await this.listEach(
      resource,
      options,
      (item) => items.push(item),
      () => {
        items.length = 0;
      },
    );
    return { items, resourceVersion };
  }

  /**
   * As {@link listAll}, but hands over one object after the other, so that not all of them need to be held. When a list
   * takes so long that it grows too old, it begins anew after `restart`. @returns the list's resource version
   */
  async listEach<T extends KubeObject>(
    resource: Resource<T>,
    options: Selection & { limit?: number },
    each: (item: T) => void,
    restart: () => void,
  ): Promise<string> {
    const { limit = PAGE_SIZE, ...selection } = options;
    let token: string | undefined;
    for (let restarts = 0; ;) {
      try {
        const page = await this.list(resource, {
          ...selection,
          limit,
          ...(token !== undefined && { continue: token }),
        });
        page.items.forEach(each);
        if (page.continue === undefined) return page.resourceVersion;
        token = page.continue;
      } catch (error) {
        if (token === undefined || !isKubeError(error, 'gone') || restarts >= 3) throw error;
        restarts += 1;
        token = undefined;
        restart();
      }
    }
  }

  /**
   * Objects with a name are tried again also after a lost answer. So `already-exists` may mean an object that this very
   * call has made: whoever creates must look whether the one that is there is theirs.
   */
  async create<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: { dryRun?: boolean; signal?: AbortSignal } = {},
  ): Promise<T> {
    const { namespace, name } = object.metadata ?? {};
    const { apiVersion, kind } = resource;
    return this.requests.json<T>({
      ...this.call('create', resource, { namespace }, options.signal, name),
      query: this.writing(options.dryRun),
      body: { ...object, apiVersion, kind },
      retry: name === undefined ? 'unprocessed' : 'safe',
    });
  }

  /** Server-side apply: makes the fields named in `object` ours, even where others had set them. */
  async apply<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: { dryRun?: boolean; subresource?: string; signal?: AbortSignal } = {},
  ): Promise<T> {
    const { namespace, name } = named(object);
    const { apiVersion, kind } = resource;
    return this.requests.json<T>({
      ...this.call('patch', resource, { namespace, name, subresource: options.subresource }, options.signal),
      query: { ...this.writing(options.dryRun), force: true },
      contentType: 'application/apply-patch+yaml',
      body: { ...object, apiVersion, kind },
    });
  }

  /** RFC 7396: null removes a field, a list is replaced whole. */
  async mergePatch<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    namespace: string | undefined,
    patch: object,
    options: { subresource?: string; signal?: AbortSignal } = {},
  ): Promise<T> {
    return this.requests.json<T>({
      ...this.call('patch', resource, { namespace, name, subresource: options.subresource }, options.signal),
      query: this.writing(),
      contentType: 'application/merge-patch+json',
      body: patch,
    });
  }

  /**
   * Replaces the object whole. With `metadata.resourceVersion` only that version: `conflict` when it has changed, which
   * after a lost answer may have been this very call.
   */
  async replace<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: { subresource?: string; signal?: AbortSignal } = {},
  ): Promise<T> {
    const { namespace, name } = named(object);
    const { apiVersion, kind } = resource;
    return this.requests.json<T>({
      ...this.call('update', resource, { namespace, name, subresource: options.subresource }, options.signal),
      query: this.writing(),
      body: { ...object, apiVersion, kind },
    });
  }

  /** Resolves when the API has accepted it, or when there is no such object; the object may be there for a while yet. */
  async delete<T extends KubeObject>(resource: Resource<T>, name: string, options: DeleteOptions = {}): Promise<void> {
    const { namespace, uid, propagation, graceSeconds } = options;
    try {
      await this.requests.json({
        ...this.call('delete', resource, { namespace, name }),
        body: {
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          ...(uid !== undefined && { preconditions: { uid } }),
          ...(propagation !== undefined && { propagationPolicy: propagation }),
          ...(graceSeconds !== undefined && { gracePeriodSeconds: graceSeconds }),
        },
      });
    } catch (error) {
      if (!isKubeError(error, 'not-found') || error.notServed) throw error;
    }
  }

  /**
   * Changes after `resourceVersion`, with bookmarks. Ends when the server ends it, after 4 to 5 minutes; go on from the
   * version of the last event. Breaking out of the loop closes the connection.
   * @throws KubeError `gone` when the version is too old (list again), `timeout` when the stream falls silent
   */
  async *watch<T extends KubeObject>(
    resource: Resource<T>,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>, void, undefined> {
    const { namespace, labelSelector, fieldSelector, resourceVersion, silenceMs = 120_000, onOpen } = options;
    // The generator's own end must also end a request that is still being opened.
    const stop = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
    try {
      const answer = await this.requests.stream({
        ...this.call('watch', resource, { namespace }, signal),
        query: {
          watch: true,
          allowWatchBookmarks: true,
          timeoutSeconds: options.lastsSeconds ?? 240 + Math.floor(Math.random() * 60),
          labelSelector,
          fieldSelector,
          resourceVersion,
        },
      });
      onOpen?.();
      const what = `Kubernetes: watch ${resource.plural}`;
      yield* readEvents<T>(answer, { what, silenceMs, maxLineBytes: MAX_LINE_BYTES, signal });
    } finally {
      stop.abort();
    }
  }

  /** What a container has written, the newest 1 MiB at most unless told otherwise. */
  readLog(options: ReadLogOptions): Promise<string> {
    return readLog(this.requests, options);
  }

  /** All kinds that the API serves: `batch/v1/jobs`, `v1/pods`, `kueue.x-k8s.io/v1beta2/workloads`, ... */
  discover(signal?: AbortSignal): Promise<ReadonlySet<string>> {
    return discover(this.requests, signal);
  }

  /** Whether one kind is served. */
  serves<T extends KubeObject>(resource: Resource<T>, signal?: AbortSignal): Promise<boolean> {
    return serves(this.requests, resource, signal);
  }

  /** Whether our account may do this. */
  async canI({ namespace, ...question }: AccessQuestion, signal?: AbortSignal): Promise<boolean> {
    const review = await this.requests.json<{ status?: { allowed?: boolean } }>({
      verb: 'create',
      resource: 'selfsubjectaccessreviews',
      path: ACCESS_REVIEW_PATH,
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes: { ...question, ...(namespace !== undefined && { namespace }) } },
      },
      signal,
    });
    return review.status?.allowed === true;
  }

  /** Closes idle connections. Watches end by their own signals. */
  close(): void {
    this.requests.close();
  }

  private call<T extends KubeObject>(
    verb: Call['verb'],
    resource: Resource<T>,
    at: { namespace?: string | undefined; name?: string | undefined; subresource?: string | undefined },
    signal?: AbortSignal,
    about: string | undefined = at.name,
  ): Call {
    if (resource.namespaced && at.namespace === undefined && verb !== 'list' && verb !== 'watch')
      throw new TypeError(`${resource.kind} ${about ?? ''} needs a namespace`);
    return {
      verb,
      resource: at.subresource === undefined ? resource.plural : `${resource.plural}/${at.subresource}`,
      about: [at.namespace, about].filter((part) => part !== undefined).join('/'),
      path: pathOf(resource, at),
      signal,
    };
  }

  private writing(dryRun = false): Record<string, string | undefined> {
    return { fieldManager: this.options.fieldManager, dryRun: dryRun ? 'All' : undefined };
  }
}

function named(object: KubeObject): { namespace: string | undefined; name: string } {
  const { namespace, name } = object.metadata ?? {};
  if (name === undefined) throw new KubeError('invalid', 'the object has no metadata.name');
  return { namespace, name };
}

import { randomUUID } from 'node:crypto';
import type { Match } from './selectors.js';
import { copy } from './merge.js';
import type { JsonObject } from './merge.js';
import { Refusal, expired, failure } from './status.js';

/** A kind that the fake serves. */
export interface FakeKind {
  apiVersion: string;
  kind: string;
  plural: string;
  namespaced: boolean;
  /** The status is written by its own path alone. */
  hasStatus?: boolean;
}

interface StoredMeta extends JsonObject {
  name: string;
  uid: string;
  resourceVersion: string;
  creationTimestamp: string;
}

export type StoredObject = JsonObject & {
  apiVersion: string;
  kind: string;
  metadata: StoredMeta & {
    namespace?: string;
    labels?: Record<string, string>;
    finalizers?: string[];
    deletionTimestamp?: string;
    generation?: number;
    ownerReferences?: { uid: string }[];
  };
};

interface Change {
  version: number;
  kind: string;
  before: StoredObject | undefined;
  now: StoredObject | undefined;
  /** The state at the deletion, with its version. */
  last: StoredObject;
}

export interface StoreEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: StoredObject;
}

export const kindKey = ({ apiVersion, plural }: Pick<FakeKind, 'apiVersion' | 'plural'>): string =>
  `${apiVersion}/${plural}`;
const objectKey = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`;

interface Continuation {
  version: number;
  rest: StoredObject[];
}

/** Objects by kind, namespace and name; every write has the next version, and all are remembered until compaction. */
export class FakeStore {
  private readonly objects = new Map<string, Map<string, StoredObject>>();
  private readonly changes: Change[] = [];
  private readonly pages = new Map<string, Continuation>();
  private readonly waiting = new Set<() => void>();
  private version = 1;
  private oldest = 1;

  get currentVersion(): number {
    return this.version;
  }

  get(kind: FakeKind, namespace: string | undefined, name: string): StoredObject | undefined {
    return this.objects.get(kindKey(kind))?.get(objectKey(kind.namespaced ? namespace : undefined, name));
  }

  ofKind(kind: FakeKind, match: Match): StoredObject[] {
    const found = [...(this.objects.get(kindKey(kind))?.entries() ?? [])];
    return found
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => object)
      .filter(match);
  }

  /** Stores a new state with the next version; a new object gets a uid. */
  put(kind: FakeKind, object: JsonObject & { metadata: JsonObject }): StoredObject {
    const { name, namespace } = object.metadata as StoredObject['metadata'];
    const before = this.get(kind, namespace, name);
    const stored = copy({ ...object, apiVersion: kind.apiVersion, kind: kind.kind }) as StoredObject;
    stored.metadata.uid = before?.metadata.uid ?? randomUUID();
    stored.metadata.creationTimestamp = before?.metadata.creationTimestamp ?? timestamp();
    this.version += 1;
    stored.metadata.resourceVersion = String(this.version);
    const ofKind = this.objects.get(kindKey(kind)) ?? new Map<string, StoredObject>();
    this.objects.set(kindKey(kind), ofKind.set(objectKey(kind.namespaced ? namespace : undefined, name), stored));
    this.note({ kind: kindKey(kind), before, now: stored, last: stored });
    return stored;
  }

  remove(kind: FakeKind, object: StoredObject): void {
    const { namespace, name } = object.metadata;
    if (!this.objects.get(kindKey(kind))?.delete(objectKey(kind.namespaced ? namespace : undefined, name))) return;
    this.version += 1;
    const last = copy(object);
    last.metadata.resourceVersion = String(this.version);
    this.note({ kind: kindKey(kind), before: object, now: undefined, last });
  }

  /** Forgets what came before; watches and pages from there are `410 Expired`. */
  compact(): void {
    this.version += 1;
    this.oldest = this.version;
    this.changes.length = 0;
    this.pages.clear();
  }

  isExpired(version: number): boolean {
    return version + 1 < this.oldest;
  }

  /** One page; the following ones show the same moment. */
  list(kind: FakeKind, match: Match, limit: number, token: string | undefined): ListPage {
    const page =
      token === undefined ? { version: this.version, rest: this.ofKind(kind, match) } : this.pages.get(token);
    if (!page) {
      const said = expired('The provided continue parameter is too old to display a consistent list result.');
      throw new Refusal(410, { ...said, metadata: { continue: 'bm90IGtlcHQ' } });
    }
    const items = limit > 0 ? page.rest.slice(0, limit) : page.rest;
    const rest = page.rest.slice(items.length);
    if (rest.length === 0) return { items, version: page.version };
    const next = Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: page.version, start: randomUUID() }));
    const nextToken = next.toString('base64url');
    this.pages.set(nextToken, { version: page.version, rest });
    return { items, version: page.version, token: nextToken, remaining: rest.length };
  }

  /** Events after `version` for who watches `match`; one that stops matching is told as deleted. */
  eventsAfter(kind: FakeKind, match: Match, version: number): { events: StoreEvent[]; version: number } {
    const key = kindKey(kind);
    const events = this.changes
      .filter((change) => change.kind === key && change.version > version)
      .flatMap((change) => eventOf(change, match));
    return { events, version: this.version };
  }

  /** Resolves at the next write. */
  nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
  }

  checkNotInFuture(version: number): void {
    if (version <= this.version) return;
    const message = `Too large resource version: ${version}, current: ${this.version}`;
    const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
    throw new Refusal(504, failure(504, 'Timeout', message, { causes, retryAfterSeconds: 1 }), { 'Retry-After': '1' });
  }

  private note(change: Omit<Change, 'version'>): void {
    this.changes.push({ ...change, version: this.version });
    for (const wake of [...this.waiting]) wake();
  }
}

export interface ListPage {
  items: StoredObject[];
  version: number;
  token?: string;
  remaining?: number;
}

function eventOf({ before, now, last }: Change, match: Match): StoreEvent[] {
  const was = before !== undefined && match(before);
  const is = now !== undefined && match(now);
  if (is) return [{ type: was ? 'MODIFIED' : 'ADDED', object: now }];
  if (!was) return [];
  // The state that matched, at the version at which it ceased to.
  const { resourceVersion } = last.metadata;
  return [{ type: 'DELETED', object: { ...before, metadata: { ...before.metadata, resourceVersion } } }];
}

/** Kubernetes says times in whole seconds. */
export const timestamp = (): string => `${new Date().toISOString().slice(0, 19)}Z`;

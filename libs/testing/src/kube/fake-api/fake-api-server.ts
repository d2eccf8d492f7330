import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { discovery } from './discovery.js';
import { Faults } from './faults.js';
import type { SeenRequest } from './faults.js';
import { BUILT_IN } from './kinds.js';
import type { Json } from './merge.js';
import { fieldMatch, labelMatch } from './selectors.js';
import { Refusal, failure, groupOf, longName, notFound } from './status.js';
import { FakeStore, kindKey } from './store.js';
import type { FakeKind, StoredObject } from './store.js';
import { serveWatch } from './watch-stream.js';
import { FakeWrites } from './writes.js';

export interface FakeApiOptions {
  /** Namespaces that are there from the beginning. @default ['default'] */
  namespaces?: readonly string[];
  /** @default 60000 */
  bookmarkMs?: number;
}

/** An object as a test writes it down; typed objects of any library fit. */
interface PutObject {
  metadata?: { name?: string; namespace?: string; labels?: Record<string, string>; managedFields?: unknown[] };
  spec?: unknown;
  status?: unknown;
}

interface Route {
  kind: FakeKind;
  namespace: string | undefined;
  name: string | undefined;
  subresource: string | undefined;
}

const MAX_SEEN = 10_000;
const MAX_BODY_BYTES = 3 * 1024 * 1024;
const PATH = /^\/(?:api\/(v1)|apis\/([^/]+\/[^/]+))(?:\/namespaces\/([^/]+))?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/;

/**
 * The part of the Kubernetes API that the platform uses, over HTTP on loopback, with objects in memory, and with faults
 * on demand. No controllers run, except that owners take what they own along when they are deleted.
 */
export class FakeApiServer {
  readonly faults = new Faults();
  /** Everything asked, the newest 10,000. */
  readonly seen: SeenRequest[] = [];
  /** Whoever brings another one is answered 401. */
  token: string = randomUUID();
  private readonly store = new FakeStore();
  private readonly kinds = new Map(BUILT_IN.map((kind) => [kindKey(kind), kind]));
  private readonly writes = new FakeWrites(this.store, () => this.kinds.values());
  private readonly streams = new Set<ServerResponse>();
  private readonly denied = new Set<string>();
  private readonly logs = new Map<string, string>();

  private constructor(
    private readonly http: Server,
    private readonly options: FakeApiOptions,
  ) {}

  static async start(options: FakeApiOptions = {}): Promise<FakeApiServer> {
    const http = createServer();
    const fake = new FakeApiServer(http, options);
    http.on('request', (request, response) => void fake.handle(request, response));
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    for (const name of options.namespaces ?? ['default']) fake.put('v1/namespaces', { metadata: { name } });
    return fake;
  }

  /** `http://127.0.0.1:<port>`. */
  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  /** How many watches and followed logs are open. */
  get openStreams(): number {
    return this.streams.size;
  }

  /** Serves one more kind, as installing its definition does. */
  install(kind: FakeKind): void {
    this.kinds.set(kindKey(kind), kind);
  }

  /** Stores an object past all rules, as controllers and the test itself do. `kind` is e.g. `batch/v1/jobs`. */
  put(kind: string, object: PutObject): StoredObject {
    return this.store.put(this.kindOf(kind), structuredClone(object) as never);
  }

  object(kind: string, namespace: string | undefined, name: string): StoredObject | undefined {
    return this.store.get(this.kindOf(kind), namespace, name);
  }

  /** Removes an object at once, past all rules. */
  remove(kind: string, namespace: string | undefined, name: string): void {
    const found = this.object(kind, namespace, name);
    if (found) this.store.remove(this.kindOf(kind), found);
  }

  /** `list jobs`, `create selfsubjectaccessreviews`, ... is answered 403 from now on. */
  deny(verb: string, plural: string): void {
    this.denied.add(`${verb} ${plural}`);
  }

  setLog(namespace: string, pod: string, text: string): void {
    this.logs.set(`${namespace}/${pod}`, text);
  }

  /** Forgets history: who goes on from an older version is answered 410. */
  compact(): void {
    this.store.compact();
  }

  /** Cuts all open watches and logs. */
  cutStreams(): void {
    for (const stream of this.streams) stream.destroy();
  }

  async stop(): Promise<void> {
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
  }

  private kindOf(key: string): FakeKind {
    const kind = this.kinds.get(key);
    if (!kind) throw new Error(`the fake does not serve ${key}`);
    return kind;
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const seen = await this.look(request);
      const fault = this.faults.of(seen);
      if (fault && 'cut' in fault && fault.cut === 'before') return void response.destroy();
      if (fault && 'answer' in fault) {
        const { status, body = '', headers = {} } = fault.answer;
        return this.answer(response, status, body, headers);
      }
      if (fault && 'delayMs' in fault) await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
      if (seen.headers.authorization !== `Bearer ${this.token}`)
        throw new Refusal(401, failure(401, 'Unauthorized', 'Unauthorized'));
      const found = discovery(seen.path, [...this.kinds.values()]);
      if (found) return this.answer(response, 200, found);
      if (seen.path.endsWith('/selfsubjectaccessreviews')) return this.answer(response, 201, this.review(seen.body));
      const route = this.route(seen.path);
      if (seen.watch) return await this.watch(route, seen, response, fault);
      if (route.subresource === 'log') return this.log(route, seen, response, fault && 'silent' in fault);
      const { status, body } = this.serve(route, seen);
      if (fault && 'cut' in fault) return void response.destroy();
      this.answer(response, status, body);
    } catch (error) {
      if (error instanceof Refusal) return this.answer(response, error.code, error.body, error.headers);
      this.answer(response, 500, failure(500, 'InternalError', String(error)));
    }
  }

  private async look(request: IncomingMessage): Promise<SeenRequest> {
    const url = new URL(request.url ?? '/', this.url);
    let text = '';
    for await (const chunk of request) {
      text += String(chunk);
      if (text.length > MAX_BODY_BYTES)
        throw new Refusal(413, failure(413, 'RequestEntityTooLarge', 'Request entity too large: limit is 3145728'));
    }
    const query = Object.fromEntries(url.searchParams);
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: url.pathname,
      query,
      headers: request.headers,
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
      watch: ['1', 'true'].includes(query['watch'] ?? ''),
    };
    this.seen.push(seen);
    if (this.seen.length > MAX_SEEN) this.seen.shift();
    return seen;
  }

  private route(path: string): Route {
    const [, core, grouped, namespace, plural = '', name, subresource] = PATH.exec(path) ?? [];
    const known = (one: string): FakeKind | undefined => this.kinds.get(`${core ?? grouped ?? ''}/${one}`);
    // `/api/v1/namespaces/x` is an object, `/api/v1/namespaces/x/pods` a list in it; the pattern reads both.
    const kind = known(plural);
    if (!kind || (namespace !== undefined && !kind.namespaced)) throw new Refusal(404, '404 page not found\n');
    const decoded = (part: string | undefined): string | undefined =>
      part === undefined ? undefined : decodeURIComponent(part);
    return { kind, namespace: decoded(namespace), name: decoded(name), subresource };
  }

  private serve(route: Route, seen: SeenRequest): { status: number; body: unknown } {
    const { kind, namespace, name } = route;
    const { query } = seen;
    const dryRun = query['dryRun'] === 'All';
    const body = (seen.body ?? null) as Json;
    if (name === undefined) {
      if (seen.method === 'GET') return { status: 200, body: this.list(route, query) };
      if (seen.method === 'POST') {
        this.check('create', route);
        return { status: 201, body: this.writes.create(kind, namespace, body, dryRun) };
      }
      throw methodNotAllowed();
    }
    const subresource = route.subresource === 'status' && kind.hasStatus ? ('status' as const) : undefined;
    if (route.subresource !== undefined && !subresource)
      throw new Refusal(404, failure(404, 'NotFound', 'the server could not find the requested resource'));
    const target = { kind, namespace, name, subresource, dryRun };
    const manager = query['fieldManager'] ?? '';
    const force = query['force'] === 'true';
    switch (seen.method) {
      case 'GET': {
        this.check('get', route);
        const object = this.store.get(kind, namespace, name);
        if (!object) throw notFound(kind, name);
        return { status: 200, body: object };
      }
      case 'PUT':
        this.check('update', route);
        return { status: 200, body: this.writes.replace(target, body) };
      case 'PATCH': {
        this.check('patch', route);
        const isNew = !this.store.get(kind, namespace, name);
        const type = (seen.headers['content-type'] ?? '').split(';')[0] ?? '';
        return { status: isNew ? 201 : 200, body: this.writes.patch(target, type, body, manager, force) };
      }
      case 'DELETE': {
        this.check('delete', route);
        const { object, gone } = this.writes.delete(target, seen.body ?? {});
        return { status: 200, body: gone ? success(kind, object) : object };
      }
      default:
        throw methodNotAllowed();
    }
  }

  private list(route: Route, query: SeenRequest['query']): unknown {
    this.check('list', route);
    const { kind } = route;
    const version = Number(query['resourceVersion'] ?? 0);
    this.store.checkNotInFuture(version);
    const limit = Number(query['limit'] ?? 0);
    const page = this.store.list(kind, this.match(route, query), limit, query['continue']);
    return {
      kind: `${kind.kind}List`,
      apiVersion: kind.apiVersion,
      metadata: {
        resourceVersion: String(page.version),
        ...(page.token !== undefined && { continue: page.token, remainingItemCount: page.remaining }),
      },
      // Objects in a list do not name their kind.
      items: page.items.map(({ apiVersion: _, kind: __, ...object }) => object),
    };
  }

  private async watch(
    route: Route,
    { query }: SeenRequest,
    response: ServerResponse,
    fault: ReturnType<Faults['of']>,
  ): Promise<void> {
    this.check('watch', route);
    const version = Number(query['resourceVersion'] ?? 0);
    this.store.checkNotInFuture(version);
    this.track(response);
    await serveWatch(response, this.store, {
      kind: route.kind,
      match: this.match(route, query),
      version: version === 0 ? undefined : version,
      bookmarks: query['allowWatchBookmarks'] === 'true',
      bookmarkMs: this.options.bookmarkMs ?? 60_000,
      timeoutMs: Number(query['timeoutSeconds'] ?? 1_800) * 1_000,
      fault,
    });
  }

  private log(route: Route, { query }: SeenRequest, response: ServerResponse, silent: boolean | undefined): void {
    this.check('get', route);
    const pod = route.name ?? '';
    if (!this.store.get(route.kind, route.namespace, pod)) throw notFound(route.kind, pod);
    const since = query['sinceTime'];
    const lines = (this.logs.get(`${route.namespace ?? ''}/${pod}`) ?? '').split('\n').filter((line) => line !== '');
    const chosen = lines
      .filter((line) => since === undefined || line.slice(0, 19) >= since.slice(0, 19))
      .slice(-Number(query['tailLines'] ?? lines.length))
      .map((line) => (query['timestamps'] === 'true' ? line : line.replace(/^\S+ /, '')));
    const text = chosen.map((line) => `${line}\n`).join('');
    response.writeHead(200, { 'Content-Type': 'text/plain' });
    if (query['follow'] === 'true') this.track(response);
    response.write(text.slice(0, Number(query['limitBytes'] ?? text.length)));
    if (!silent) response.end();
  }

  private track(response: ServerResponse): void {
    this.streams.add(response);
    response.on('close', () => this.streams.delete(response));
  }

  private match({ namespace }: Route, query: SeenRequest['query']): (object: StoredObject) => boolean {
    const labels = labelMatch(query['labelSelector'] ?? '');
    const fields = fieldMatch(query['fieldSelector'] ?? '');
    return (object) =>
      (namespace === undefined || object.metadata.namespace === namespace) && labels(object) && fields(object);
  }

  private check(verb: string, { kind, namespace }: Route): void {
    if (!this.denied.has(`${verb} ${kind.plural}`)) return;
    const where = namespace === undefined ? 'at the cluster scope' : `in the namespace "${namespace}"`;
    const group = groupOf(kind.apiVersion);
    const message = `${longName(kind.apiVersion, kind.plural)} is forbidden: User "tester" cannot ${verb} resource "${kind.plural}" in API group "${group}" ${where}`;
    throw new Refusal(403, failure(403, 'Forbidden', message, { ...(group !== '' && { group }), kind: kind.plural }));
  }

  private review(body: unknown): unknown {
    const { spec } = body as { spec: { resourceAttributes: { verb: string; resource: string } } };
    const { verb, resource } = spec.resourceAttributes;
    const status = { allowed: !this.denied.has(`${verb} ${resource}`) };
    return { ...(body as object), metadata: { creationTimestamp: null }, status };
  }

  private answer(
    response: ServerResponse,
    status: number,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    if (response.headersSent || response.destroyed) return void response.destroy();
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const type = typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json';
    response.writeHead(status, { 'Content-Type': type, ...headers }).end(text);
  }
}

const methodNotAllowed = (): Refusal =>
  new Refusal(405, failure(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource'));

const success = ({ apiVersion, plural }: FakeKind, { metadata }: StoredObject): unknown => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Success',
  details: {
    name: metadata.name,
    ...(apiVersion.includes('/') && { group: groupOf(apiVersion) }),
    kind: plural,
    uid: metadata.uid,
  },
});

import { Agent, request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { KubeObject } from './objects.js';

/** What the API server refused, with its own sentence. */
export class KubeApiError extends Error {
  override readonly name = 'KubeApiError';
  constructor(
    readonly status: number,
    /** `NotFound`, `AlreadyExists`, `Forbidden`, ... */
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

export interface KubeRequest {
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  /** @default application/json; of a PATCH application/merge-patch+json */
  contentType?: string;
  /** @default 15000 */
  timeoutMs?: number;
}

export interface WatchEvent<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  object: T;
}

/** The few calls that tests and the fake kubelet make. Product code uses a client of its own. */
export class KubeApi {
  private readonly agent: Agent;
  private plurals = new Map<string, { plural: string; namespaced: boolean }>();

  constructor(
    /** `https://127.0.0.1:<port>` */
    readonly url: string,
    private readonly token: string,
    /** PEM */
    ca: string,
  ) {
    this.agent = new Agent({ keepAlive: true, ca, maxSockets: 64 });
  }

  get<T>(path: string, query?: KubeRequest['query']): Promise<T> {
    return this.call<T>('GET', path, query && { query });
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.call<T>('POST', path, { body });
  }

  delete<T>(path: string, body?: unknown): Promise<T> {
    return this.call<T>('DELETE', path, { body });
  }

  mergePatch<T>(path: string, body: unknown): Promise<T> {
    return this.call<T>('PATCH', path, { body, contentType: 'application/merge-patch+json' });
  }

  /**
   * Server-side apply of one object, whatever its kind.
   * @param more such as `{ dryRun: 'All', fieldValidation: 'Strict' }`, which says what is wrong and changes nothing.
   */
  async apply<T extends KubeObject>(object: T, more: KubeRequest['query'] = {}): Promise<T> {
    const query = { fieldManager: 'luthier-test', force: true, ...more };
    const contentType = 'application/apply-patch+yaml';
    return this.call<T>('PATCH', await this.pathOf(object), { query, body: object, contentType });
  }

  /** The text of an answer, such as a log. */
  async text(path: string, query: KubeRequest['query'] = {}): Promise<string> {
    return text(await this.open('GET', path, { query }));
  }

  async call<T>(method: string, path: string, options: KubeRequest = {}): Promise<T> {
    return JSON.parse(await text(await this.open(method, path, options))) as T;
  }

  /** The lines of an endless answer (a watch, a followed log) until it ends or `signal` is aborted. */
  async *lines(path: string, query: NonNullable<KubeRequest['query']>, signal: AbortSignal): AsyncGenerator<string> {
    const response = await this.open('GET', path, { query, timeoutMs: 0 }, signal);
    try {
      for await (const line of createInterface({ input: response })) yield line;
    } finally {
      response.destroy();
    }
  }

  async *watch<T>(
    path: string,
    query: NonNullable<KubeRequest['query']>,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>> {
    for await (const line of this.lines(path, { ...query, watch: true }, signal))
      yield JSON.parse(line) as WatchEvent<T>;
  }

  /** `/apis/batch/v1/namespaces/ns/jobs/name`, from what the server says about its kinds. */
  async pathOf({ apiVersion = 'v1', kind = '', metadata = {} }: KubeObject): Promise<string> {
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const key = `${apiVersion} ${kind}`;
    if (!this.plurals.has(key)) {
      const { resources } = await this.get<{ resources: { name: string; kind: string; namespaced: boolean }[] }>(root);
      for (const found of resources.filter(({ name }) => !name.includes('/')))
        this.plurals.set(`${apiVersion} ${found.kind}`, { plural: found.name, namespaced: found.namespaced });
    }
    const found = this.plurals.get(key);
    if (!found) throw new Error(`the API server has no kind ${kind} in ${apiVersion}`);
    const namespace = found.namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
    return `${root}${namespace}/${found.plural}/${metadata.name ?? ''}`;
  }

  close(): void {
    this.agent.destroy();
  }

  private async open(
    method: string,
    path: string,
    { query = {}, body, contentType = 'application/json', timeoutMs = 15_000 }: KubeRequest,
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    const url = new URL(path, this.url);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const limits = [...(signal ? [signal] : []), ...(timeoutMs > 0 ? [AbortSignal.timeout(timeoutMs)] : [])];
    const content = body === undefined ? '' : JSON.stringify(body);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request(url, {
        method,
        agent: this.agent,
        headers: {
          authorization: `Bearer ${this.token}`,
          'content-type': contentType,
          accept: 'application/json, */*',
          // Said by ourselves: of a DELETE Node does not say it, and the server would take the body for the next request.
          'content-length': Buffer.byteLength(content),
        },
        signal: AbortSignal.any(limits),
      });
      outgoing.once('response', resolve);
      outgoing.on('error', reject);
      outgoing.end(content);
    });
    const status = response.statusCode ?? 0;
    if (status < 300) return response;
    const answer = await text(response);
    throw errorOf(status, `${method} ${path}`, answer);
  }
}

/** A refusal is a Status object, or plain text where no API stands. */
function errorOf(status: number, what: string, answer: string): KubeApiError {
  let found: { reason?: string; message?: string } = {};
  try {
    found = JSON.parse(answer) as typeof found;
  } catch {
    found = { message: answer.trim() };
  }
  return new KubeApiError(status, found.reason ?? '', `${what}: ${status} ${found.message ?? ''}`);
}

/** Undefined where nothing is there. */
export const ifFound = <T>(answer: Promise<T>): Promise<T | undefined> =>
  answer.catch((cause: unknown) => {
    if (cause instanceof KubeApiError && cause.status === 404) return undefined;
    throw cause;
  });

import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitBeforeRetryMs } from './backoff.js';
import type { BackoffOptions } from './backoff.js';
import type { Cluster } from './cluster.js';
import { Connections } from './cluster.js';
import { exchange, readText } from './exchange.js';
import { KubeError, REASONS, isKubeError } from './kube-error.js';
import type { KubeMetrics } from './kube-metrics.js';
import { answerToKubeError, networkToKubeError } from './to-kube-error.js';
import { TokenBucket } from './token-bucket.js';
import type { BucketOptions } from './token-bucket.js';

/** The API's verbs, as in its access rules. */
type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

export interface Call {
  verb: Verb;
  /** Plural name, for metrics and messages. */
  resource: string;
  /** What the call is about, for messages: a name or a namespace. */
  about?: string | undefined;
  path: string;
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  body?: unknown;
  contentType?: string;
  accept?: string;
  /**
   * `safe`: doing it twice does no harm. `unprocessed`: only when the server says that it did nothing (429).
   * @default 'safe'
   */
  retry?: 'safe' | 'unprocessed';
  signal?: AbortSignal | undefined;
  /** @default the path's own bound */
  maxAnswerBytes?: number;
}

export interface RequestPathOptions {
  cluster: Cluster;
  timeoutMs: number;
  limit: BucketOptions;
  maxTries: number;
  backoff: BackoffOptions;
  maxAnswerBytes: number;
  userAgent: string;
  metrics?: KubeMetrics | undefined;
}

const METHODS: Readonly<Record<Verb, string>> = {
  get: 'GET',
  list: 'GET',
  watch: 'GET',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
};
const RETRIED = new Set([429, 500, 502, 503, 504]);
/** A server that wants a longer rest is left alone: the caller hears of it and comes back by its own plan. */
const LONGEST_REST_MS = 15_000;
const MAX_ERROR_BYTES = 256 * 1024;

/** The one way to the API: rate limit, credentials, time-out, bounds, errors, retries, metrics. */
export class RequestPath {
  private readonly bucket: TokenBucket;
  private readonly connections = new Connections();

  constructor(private readonly options: RequestPathOptions) {
    this.bucket = new TokenBucket(options.limit, performance.now());
  }

  /** An answer as a value of JSON. Tries again where that is safe. */
  async json<T>(call: Call): Promise<T> {
    const text = await this.text(call);
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new KubeError('server-error', `${nameOf(call)}: the answer is no JSON; is this the address of the API?`, {
        reason: REASONS.unreadable,
        cause,
      });
    }
  }

  /** An answer as text. Tries again where that is safe. */
  text(call: Call): Promise<string> {
    return this.trying(call, () =>
      this.timed(call, async (signal) => {
        const answer = await this.send(call, signal, true);
        return readText(answer, call.maxAnswerBytes ?? this.options.maxAnswerBytes);
      }),
    );
  }

  /**
   * An answer whose body goes on for long: one try, and only its head is bound in time. The caller must read it to its
   * end or destroy it; the call's signal destroys it too.
   */
  async stream(call: Call): Promise<IncomingMessage> {
    await this.turn(call);
    return this.measured(call, () => this.timed(call, (signal) => this.send(call, signal, false)));
  }

  close(): void {
    this.connections.close();
  }

  private async trying<T>(call: Call, attempt: () => Promise<T>): Promise<T> {
    let renewed = false;
    for (let failures = 1; ; failures += 1) {
      await this.turn(call);
      try {
        return await this.measured(call, attempt);
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        if (error.kind === 'unauthorized' && error.status === 401 && !renewed && this.options.cluster.forget()) {
          renewed = true;
          continue;
        }
        if (failures >= this.options.maxTries || !mayRetry(call, error)) throw error;
        const rest = waitBeforeRetryMs(failures, this.options.backoff, Math.random(), error.retryAfterMs);
        if (rest > LONGEST_REST_MS) throw error;
        await sleep(rest, undefined, { signal: call.signal }).catch((reason: unknown) => throwReason(call, reason));
      }
    }
  }

  /** Waits for this call's turn under the rate limit. */
  private async turn(call: Call): Promise<void> {
    call.signal?.throwIfAborted();
    const wait = this.bucket.take(performance.now());
    if (wait <= 0) return;
    await sleep(wait, undefined, { signal: call.signal }).catch((reason: unknown) => {
      this.bucket.giveBack();
      throwReason(call, reason);
    });
  }

  private async measured<T>(call: Call, attempt: () => Promise<T>): Promise<T> {
    const started = performance.now();
    const note = (outcome: string): void =>
      this.options.metrics?.noteRequest(call.verb, call.resource, outcome, (performance.now() - started) / 1_000);
    try {
      const result = await attempt();
      note('ok');
      return result;
    } catch (error) {
      const known = call.signal?.aborted === true ? error : networkToKubeError(nameOf(call), error);
      note(known instanceof KubeError ? known.kind : 'aborted');
      if (call.signal?.aborted === true) throw call.signal.reason;
      throw known;
    }
  }

  /** Bounds `work` in time. What it leaves open afterwards ends only with the call's own signal. */
  private async timed<T>(call: Call, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { timeoutMs } = this.options;
    const stop = new AbortController();
    const late = new KubeError('timeout', `${nameOf(call)}: no answer within ${timeoutMs / 1_000} s`);
    const timer = setTimeout(() => stop.abort(late), timeoutMs);
    try {
      const signal = call.signal ? AbortSignal.any([stop.signal, call.signal]) : stop.signal;
      return await work(signal);
    } catch (error) {
      if (stop.signal.aborted) throw late;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private async send(call: Call, signal: AbortSignal, pooled: boolean): Promise<IncomingMessage> {
    const { server, options } = await this.options.cluster.access();
    const answer = await exchange({
      url: addressOf(server, call),
      method: METHODS[call.verb],
      headers: {
        Accept: call.accept ?? 'application/json',
        'User-Agent': this.options.userAgent,
        ...(call.body !== undefined && { 'Content-Type': call.contentType ?? 'application/json' }),
      },
      body: call.body === undefined ? undefined : JSON.stringify(call.body),
      options: { agent: pooled ? this.connections.forCalls(server) : false, ...options },
      signal,
    });
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    const body = await readText(answer, MAX_ERROR_BYTES).catch((cause: unknown) => {
      if (isKubeError(cause)) return '';
      throw cause;
    });
    throw answerToKubeError(nameOf(call), status, body, answer.headers['retry-after']);
  }
}

function mayRetry(call: Call, error: KubeError): boolean {
  if (error.status === 429) return true;
  if (call.retry === 'unprocessed') return false;
  return error.kind === 'unreachable' || (error.status !== undefined && RETRIED.has(error.status));
}

function throwReason(call: Call, fallback: unknown): never {
  throw call.signal?.aborted === true ? call.signal.reason : fallback;
}

function addressOf(server: URL, call: Call): URL {
  // The server may lie below a path of its own, as behind a management proxy.
  const url = new URL(server.pathname.replace(/\/$/, '') + call.path, server);
  for (const [name, value] of Object.entries(call.query ?? {})) {
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value));
  }
  return url;
}

const nameOf = ({ verb, resource, about }: Call): string =>
  `Kubernetes: ${verb} ${resource}${about === undefined || about === '' ? '' : ` ${about}`}`;

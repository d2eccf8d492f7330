import type { IncomingMessage } from 'node:http';
import { KubeError, REASONS } from './kube-error.js';
import { LineSplitter } from './line-splitter.js';
import type { KubeObject } from './objects.js';
import { eventToKubeError, networkToKubeError } from './to-kube-error.js';

/** A bookmark's object holds nothing but the resource version up to which nothing was missed. */
export interface WatchEvent<T extends KubeObject> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  object: T;
}

export interface EventStreamOptions {
  /** For messages. */
  what: string;
  /** Without a byte for this long, the stream counts as dead. Bookmarks come about once a minute. */
  silenceMs: number;
  /** Objects are at most 1.5 MiB in etcd; JSON and managed fields make them longer. */
  maxLineBytes: number;
  signal: AbortSignal;
}

const TYPES: ReadonlySet<unknown> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']);

/**
 * Events of an open watch. Ends when the server ends the watch, which it does by plan after some minutes.
 * @throws KubeError `gone` when the version is too old, `timeout` when the stream fell silent, `unreachable` when cut
 */
export async function* readEvents<T extends KubeObject>(
  answer: IncomingMessage,
  { what, silenceMs, maxLineBytes, signal }: EventStreamOptions,
): AsyncGenerator<WatchEvent<T>, void, undefined> {
  const lines = new LineSplitter(maxLineBytes, 'refuse');
  const silent = new KubeError('timeout', `${what}: nothing came for ${silenceMs / 1_000} s, not even a sign of life`, {
    reason: REASONS.silent,
  });
  const listen = (): NodeJS.Timeout => setTimeout(() => answer.destroy(silent), silenceMs);
  let timer = listen();
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      // While events are handled, nobody listens, so that time does not count as silence.
      clearTimeout(timer);
      for (const line of lines.push(chunk)) if (line !== '') yield parseEvent<T>(what, line);
      timer = listen();
    }
    // A last line without an end was cut off; what it would have said comes again with the next watch.
  } catch (error) {
    signal.throwIfAborted();
    throw toWatchError(what, error);
  } finally {
    clearTimeout(timer);
    answer.destroy();
  }
}

function parseEvent<T extends KubeObject>(what: string, line: string): WatchEvent<T> {
  const event = JSON.parse(line) as { type?: unknown; object?: unknown };
  if (event.type === 'ERROR') throw eventToKubeError(what, event.object);
  if (!TYPES.has(event.type) || typeof event.object !== 'object' || event.object === null)
    throw new SyntaxError(`an event of an unknown type came: ${String(event.type).slice(0, 40)}`);
  return event as WatchEvent<T>;
}

function toWatchError(what: string, error: unknown): KubeError {
  if (error instanceof KubeError) return error;
  if (error instanceof RangeError)
    return new KubeError('server-error', `${what}: ${error.message}`, { reason: REASONS.tooLarge, cause: error });
  if (error instanceof SyntaxError)
    return new KubeError('server-error', `${what}: ${error.message}`, { reason: REASONS.unreadable, cause: error });
  return networkToKubeError(what, error);
}

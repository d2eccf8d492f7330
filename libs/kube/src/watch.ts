import type { IncomingMessage } from 'node:http';
import { KubeError, REASONS } from './kube-error.js';
import { LineSplitter, LineTooLong } from './line-splitter.js';
import type { KubeObject } from './objects.js';
import { isNamed } from './resources.js';
import { eventToKubeError, isRecord, networkToKubeError } from './to-kube-error.js';

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
  const lines = new LineSplitter(maxLineBytes);
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
  }
}

function parseEvent<T extends KubeObject>(what: string, line: string): WatchEvent<T> {
  const event = parsed(line);
  if (event?.['type'] === 'ERROR') throw eventToKubeError(what, event['object']);
  const bookmark = event?.['type'] === 'BOOKMARK';
  if (!event || !TYPES.has(event['type']) || !(bookmark ? isRecord(event['object']) : isNamed(event['object'])))
    throw new KubeError('server-error', `${what}: something came that is no event`, { reason: REASONS.unreadable });
  return event as unknown as WatchEvent<T>;
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function toWatchError(what: string, error: unknown): KubeError {
  if (error instanceof LineTooLong)
    return new KubeError('server-error', `${what}: ${error.message}`, { reason: REASONS.tooLarge, cause: error });
  return networkToKubeError(what, error);
}

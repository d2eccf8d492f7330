import type { ServerResponse } from 'node:http';
import type { Fault } from './faults.js';
import { expired } from './status.js';
import type { Match } from './selectors.js';
import type { FakeKind, FakeStore } from './store.js';

export interface WatchRequest {
  kind: FakeKind;
  match: Match;
  /** Undefined: begin with what there is now. */
  version: number | undefined;
  bookmarks: boolean;
  bookmarkMs: number;
  timeoutMs: number;
  fault: Fault | undefined;
}

/** Serves one watch until its time is over or the client leaves. */
export async function serveWatch(response: ServerResponse, store: FakeStore, watch: WatchRequest): Promise<void> {
  const { kind, match, bookmarks, bookmarkMs, timeoutMs, fault } = watch;
  const left = new AbortController();
  response.on('close', () => left.abort());
  const say = (type: string, object: unknown): boolean => response.write(`${JSON.stringify({ type, object })}\n`);
  response.writeHead(200, { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' });
  response.flushHeaders();
  if (fault && 'silent' in fault) return;
  if (fault && 'say' in fault) {
    response.write(fault.say);
    // After the bytes have left, so that the client sees them before the cut.
    if (fault.thenCut) return void setImmediate(() => response.destroy());
  }
  let version = watch.version ?? store.currentVersion;
  if (watch.version === undefined) for (const object of store.ofKind(kind, match)) say('ADDED', object);
  const over = setTimeout(() => {
    left.abort();
    response.end();
  }, timeoutMs);
  const bookmark = (): void => {
    const metadata = { resourceVersion: String(version), creationTimestamp: null };
    say('BOOKMARK', { kind: kind.kind, apiVersion: kind.apiVersion, metadata });
  };
  const marks = bookmarks ? setInterval(bookmark, bookmarkMs) : undefined;
  try {
    while (!left.signal.aborted) {
      if (store.isExpired(version)) {
        say('ERROR', expired(`too old resource version: ${version} (${store.currentVersion})`));
        response.end();
        return;
      }
      const { events, version: seen } = store.eventsAfter(kind, match, version);
      for (const { type, object } of events) say(type, object);
      version = seen;
      await store.nextChange(left.signal);
    }
  } finally {
    clearTimeout(over);
    clearInterval(marks);
  }
}

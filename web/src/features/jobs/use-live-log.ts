'use client';
import { useEffect, useReducer, useState } from 'react';
import { jobLogStreamUrl } from '../../lib/routes';
import { parsed } from './live-entries';
import { withPieces } from './live-log';
import type { LiveLog } from './live-log';
import type { Connection } from './use-live-job';

const TAIL_BYTES = 65_536;
const BATCH_MS = 150;
const RETRY_MS = 3_000;

const isPiece = (value: unknown): value is LiveLog =>
  typeof value === 'object' && value !== null && typeof (value as Partial<LiveLog>).text === 'string';

/** Follows the log of a job's run. As with the job itself: who is cut off goes on after the last piece. */
export function useLiveLog(jobId: string): LiveLog & { connection: Connection } {
  const [log, add] = useReducer(withPieces, { text: '', truncated: false });
  const [connection, setConnection] = useState<Connection>('connecting');

  useEffect(() => {
    let source: EventSource | undefined;
    let last: string | undefined;
    let waiting: LiveLog[] = [];
    let batchTimer: ReturnType<typeof setTimeout> | undefined;
    let retryTimer: ReturnType<typeof setTimeout> | undefined;

    const flush = (): void => {
      batchTimer = undefined;
      add(waiting);
      waiting = [];
    };
    const connect = (): void => {
      const opened = new EventSource(jobLogStreamUrl(jobId, last, TAIL_BYTES));
      source = opened;
      opened.onopen = () => setConnection('open');
      opened.addEventListener('log', (message: MessageEvent<string>) => {
        const piece = parsed(message.data);
        if (!isPiece(piece)) return;
        last = message.lastEventId;
        waiting.push(piece);
        batchTimer ??= setTimeout(flush, BATCH_MS);
      });
      opened.addEventListener('end', () => {
        opened.close();
        setConnection('ended');
      });
      opened.onerror = () => {
        setConnection('lost');
        if (opened.readyState === EventSource.CLOSED) retryTimer = setTimeout(connect, RETRY_MS);
      };
    };
    connect();
    return () => {
      source?.close();
      for (const timer of [batchTimer, retryTimer]) clearTimeout(timer);
    };
  }, [jobId]);

  return { ...log, connection };
}

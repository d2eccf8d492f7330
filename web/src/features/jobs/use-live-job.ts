'use client';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useReducer, useState } from 'react';
import { keys } from '../../lib/api/client';
import { jobStreamUrl } from '../../lib/routes';
import type { LiveEntry, LiveJob } from './live-entries';
import { applyEntries, NOTHING_YET, parsed } from './live-entries';

export type Connection = 'connecting' | 'open' | 'lost' | 'ended';

const BATCH_MS = 120;
const RECORD_REFRESH_MS = 800;
const RETRY_MS = 3_000;

/**
 * Follows a job: curves, events and checkpoints come by the stream; that the record changed is a reason to read it
 * again, so that a replay never shows an old one. The browser reconnects by itself with Last-Event-ID; where it gives up
 * (an error answer) this does, with the same number.
 */
export function useLiveJob(jobId: string): LiveJob & { connection: Connection } {
  const queries = useQueryClient();
  const [live, add] = useReducer(applyEntries, NOTHING_YET);
  const [connection, setConnection] = useState<Connection>('connecting');

  useEffect(() => {
    let source: EventSource | undefined;
    let lastId = 0;
    let waiting: LiveEntry[] = [];
    let batchTimer: ReturnType<typeof setTimeout> | undefined;
    let recordTimer: ReturnType<typeof setTimeout> | undefined;
    let retryTimer: ReturnType<typeof setTimeout> | undefined;

    const flush = (): void => {
      batchTimer = undefined;
      add(waiting);
      waiting = [];
    };
    const readRecord = (): void => {
      recordTimer ??= setTimeout(() => {
        recordTimer = undefined;
        void queries.invalidateQueries({ queryKey: keys.job(jobId) });
      }, RECORD_REFRESH_MS);
    };
    const receive = (message: MessageEvent<string>): void => {
      const id = Number(message.lastEventId);
      if (!Number.isSafeInteger(id)) return;
      lastId = Math.max(lastId, id);
      waiting.push({ id, type: message.type, data: parsed(message.data) });
      batchTimer ??= setTimeout(flush, BATCH_MS);
      if (message.type === 'job') readRecord();
    };
    const connect = (): void => {
      const opened = new EventSource(jobStreamUrl(jobId, lastId));
      source = opened;
      opened.onopen = () => setConnection('open');
      for (const type of ['job', 'event', 'metrics', 'checkpoint']) opened.addEventListener(type, receive);
      opened.addEventListener('end', () => {
        opened.close();
        setConnection('ended');
        readRecord();
      });
      opened.onerror = () => {
        setConnection('lost');
        if (opened.readyState === EventSource.CLOSED) retryTimer = setTimeout(connect, RETRY_MS);
      };
    };
    connect();
    return () => {
      source?.close();
      for (const timer of [batchTimer, recordTimer, retryTimer]) clearTimeout(timer);
    };
  }, [jobId, queries]);

  return { ...live, connection };
}

import { CLUSTER_HAPPENINGS } from '@luthier/contracts';
import type { ClusterEvent, ClusterHappening } from '@luthier/contracts';
import type { V1Event } from '@luthier/kube';
import { excerptOf, shortText } from '../explain/excerpt.js';
import { SENTENCES } from './sentences.js';

/** What an Event of the cluster says, in a sentence of ours where there is one. Pure. Undefined: of nothing in particular. */
export function clusterEventOf(event: V1Event): ClusterEvent | undefined {
  const { uid, creationTimestamp } = event.metadata;
  const { kind = '', name = '' } = event.involvedObject;
  const { reason = '', message = '', series } = event;
  if (uid === undefined || name === '' || reason === '') return undefined;
  const what = happeningOf(kind, reason);
  const node = nodeOf(event);
  const excerpt = excerptOf(message);
  // Written by two generations of the API: one counts in place, the other keeps a series.
  const firstAt = timeOf(event.firstTimestamp, event.eventTime, creationTimestamp);
  const lastAt = timeOf(series?.lastObservedTime, event.lastTimestamp, event.eventTime, creationTimestamp);
  return {
    ...{ type: 'cluster-event', uid, level: event.type === 'Warning' ? 'warn' : 'info', reason: reason.slice(0, 128) },
    ...(what !== undefined && { what }),
    message: what === undefined ? shortText(`${reason}: ${message}`) : SENTENCES[what](node),
    ...(excerpt !== undefined && { excerpt }),
    object: { kind: kind.slice(0, 64), name: name.slice(0, 253) },
    ...(node !== undefined && { node }),
    ...{ count: Math.max(1, series?.count ?? event.count ?? 1), firstAt, lastAt },
  };
}

const KNOWN: ReadonlySet<string> = new Set(CLUSTER_HAPPENINGS);

/** Kueue says in the reason itself why it has taken a place away. */
function happeningOf(kind: string, reason: string): ClusterHappening | undefined {
  const name = `${kind}.${reason.replace(/^EvictedDueTo.+/, 'Evicted')}`;
  return KNOWN.has(name) ? (name as ClusterHappening) : undefined;
}

/** The node that says it, or that was chosen. */
function nodeOf({ source, reason, message }: V1Event): string | undefined {
  if (source?.component === 'kubelet' && source.host) return shortText(source.host);
  const chosen = reason === 'Scheduled' ? /assigned \S+ to (\S+)$/.exec(message ?? '')?.[1] : undefined;
  return chosen === undefined ? undefined : shortText(chosen);
}

function timeOf(...times: (string | null | undefined)[]): string {
  const ms = times.map((time) => Date.parse(time ?? '')).find((time) => !Number.isNaN(time));
  return new Date(ms ?? 0).toISOString();
}

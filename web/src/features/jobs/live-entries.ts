import type { JobCheckpoint, JobEvent } from '../../lib/api/jobs';

type Point = readonly [step: number, value: number];

/** What the live stream of a job has told so far. */
export interface LiveJob {
  /** Number of the last entry; the next connection asks for what comes after it. */
  lastId: number;
  /** By metric name, by rising step, one point a step. */
  curves: Readonly<Record<string, readonly Point[]>>;
  /** Newest first. */
  events: readonly JobEvent[];
  /** Newest first. */
  checkpoints: readonly JobCheckpoint[];
}

/** One message of the stream with its data as it stands on the wire. */
export interface LiveEntry {
  id: number;
  type: string;
  data: unknown;
}

export const NOTHING_YET: LiveJob = { lastId: 0, curves: {}, events: [], checkpoints: [] };

/** So many events are kept for the page. */
const EVENT_LIMIT = 500;

interface WirePoint {
  step: number;
  name: string;
  value: number;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isPoint = (value: unknown): value is WirePoint =>
  isRecord(value) &&
  typeof value['step'] === 'number' &&
  typeof value['value'] === 'number' &&
  typeof value['name'] === 'string';
const hasId = (value: unknown): value is { id: string } => isRecord(value) && typeof value['id'] === 'string';

function withPoints(curves: LiveJob['curves'], points: readonly WirePoint[]): LiveJob['curves'] {
  const next: Record<string, readonly Point[]> = { ...curves };
  for (const name of new Set(points.map((point) => point.name))) {
    const bySteps = new Map(next[name] ?? []);
    // A resumed attempt goes over the same steps again: the later value stands.
    for (const point of points) if (point.name === name) bySteps.set(point.step, point.value);
    next[name] = [...bySteps].sort(([a], [b]) => a - b);
  }
  return next;
}

/** Adds entries in the order of the stream. What was seen before changes nothing, so a replay does no harm. */
export function applyEntries(live: LiveJob, entries: readonly LiveEntry[]): LiveJob {
  const fresh = entries.filter(({ id }) => id > live.lastId);
  const last = fresh.at(-1);
  if (!last) return live;
  const points = fresh
    .filter(({ type }) => type === 'metrics')
    .flatMap(({ data }) => (isRecord(data) && Array.isArray(data['points']) ? (data['points'] as unknown[]) : []))
    .filter(isPoint);
  const events = fresh.filter(({ type, data }) => type === 'event' && hasId(data)).map(({ data }) => data as JobEvent);
  const checkpoints = fresh
    .filter(({ type, data }) => type === 'checkpoint' && hasId(data))
    .map(({ data }) => data as JobCheckpoint);
  return {
    lastId: last.id,
    curves: points.length > 0 ? withPoints(live.curves, points) : live.curves,
    events: events.length > 0 ? [...events.reverse(), ...live.events].slice(0, EVENT_LIMIT) : live.events,
    checkpoints: checkpoints.length > 0 ? [...checkpoints.reverse(), ...live.checkpoints] : live.checkpoints,
  };
}

/** What a message of a stream carries; null: not what a stream sends. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

import type { ServiceName } from './define.js';

/** The one table of streams, consumers and buckets. `provision()` creates them; services only bind. */
const DAY_MS = 24 * 60 * 60 * 1000;
const MIB = 1024 * 1024;

export interface StreamSpec {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly maxAgeMs: number;
  readonly maxBytes: number;
  readonly maxMessageBytes: number;
  readonly discard: 'new' | 'old';
  readonly duplicateWindowMs: number;
}

export interface ConsumerSpec {
  readonly stream: string;
  /** Durable name; one per consuming service and stream. */
  readonly name: string;
  readonly filterSubjects: readonly string[];
  readonly ackWaitMs: number;
  readonly maxDeliver: number;
  readonly maxAckPending: number;
}

export const EVENT_STREAM = 'LUTHIER_EVENTS';
export const RUN_STREAM = 'LUTHIER_RUN_EVENTS';
export const DEAD_STREAM = 'LUTHIER_DEAD';
export const RUNS_BUCKET = 'LUTHIER_RUNS';

export const STREAMS: readonly StreamSpec[] = [
  {
    name: EVENT_STREAM,
    subjects: ['luthier.v1.event.>'],
    maxAgeMs: 14 * DAY_MS,
    maxBytes: 512 * MIB,
    maxMessageBytes: MIB,
    discard: 'new', // the outbox waits
    duplicateWindowMs: 2 * 60 * 1000,
  },
  {
    name: RUN_STREAM,
    subjects: ['luthier.v1.run.>'],
    maxAgeMs: 7 * DAY_MS,
    maxBytes: 1024 * MIB,
    maxMessageBytes: MIB,
    discard: 'old',
    duplicateWindowMs: 2 * 60 * 1000,
  },
  {
    name: DEAD_STREAM,
    subjects: ['luthier.v1.dead.>'],
    maxAgeMs: 30 * DAY_MS,
    maxBytes: 128 * MIB,
    maxMessageBytes: MIB,
    discard: 'old',
    duplicateWindowMs: 2 * 60 * 1000,
  },
];

const consumer = (stream: string, name: string, filterSubjects: readonly string[]): ConsumerSpec => ({
  stream,
  name,
  filterSubjects,
  ackWaitMs: 30_000,
  maxDeliver: 8,
  maxAckPending: 256,
});

export const CONSUMERS: readonly ConsumerSpec[] = [
  consumer(EVENT_STREAM, 'training', [
    'luthier.v1.event.datasets.>',
    'luthier.v1.event.registry.>',
    'luthier.v1.event.evaluation.>',
  ]),
  consumer(EVENT_STREAM, 'evaluation', ['luthier.v1.event.registry.>']),
  consumer(EVENT_STREAM, 'registry', ['luthier.v1.event.evaluation.>', 'luthier.v1.event.training.job.succeeded']),
  consumer(EVENT_STREAM, 'gateway', ['luthier.v1.event.>']),
  consumer(RUN_STREAM, 'training-runs', ['luthier.v1.run.>']),
];

/** Subject on which the run stream carries one line of a run. */
export const runEventSubject = (runId: string, type: string): string => `luthier.v1.run.${runId}.${type}`;
/** Subject of what a consumer could not handle. */
export const deadSubject = (consumerName: string): string => `luthier.v1.dead.${consumerName}`;
/** Core subject (not kept) on which training pokes the gateway's live streams: a job has new entries. */
export const jobChangedSubject = (jobId: string): string => `luthier.v1.live.training.${jobId}`;
/** Every request that a service answers. */
export const requestSubjects = (service: ServiceName): string => `luthier.v1.rpc.${service}.>`;
/** Every event of record that a service announces. */
export const eventSubjects = (service: ServiceName): string => `luthier.v1.event.${service}.>`;

import { z } from 'zod';
import { errorCode } from './errors.js';
import { STOP_REASONS, runOutcome } from './run-state.js';
import { runtimeEvent } from './run-events.js';

/**
 * HTTP between a runner and the trainer's run endpoint: `POST /runs/{runId}/<verb>`, JSON, `Authorization: Bearer`.
 * `attach` takes the attach token; everything else the token of the answer to it. Older attempts and incarnations get
 * 409 `run.fenced`; not yet placed, or a missing key, gets 503 `run.not-attached`.
 */
export const attachRequest = z.object({ attempt: z.int().positive(), podUid: z.string().min(1) });
export const attachAnswer = z.object({
  incarnation: z.int().positive(),
  token: z.string(),
  requestUri: z.string(),
  requestSha256: z.string(),
  /** Newest committed checkpoint of the run over all attempts and incarnations. */
  resumeFrom: z.object({ uri: z.string(), step: z.int().nonnegative(), sha256: z.string() }).optional(),
});

/** Read from the spec key with every answer. */
export const orders = z.object({
  stop: z.object({ reason: z.enum(STOP_REASONS), graceSeconds: z.int() }).optional(),
  checkpointRequest: z.int().nonnegative(),
  /** A renewed token, when the old one is getting short. */
  token: z.string().optional(),
});

export const heartbeatRequest = z.object({ step: z.int().nonnegative(), memoryMib: z.number().optional() });

export const eventsRequest = z.object({ events: z.array(runtimeEvent).max(500) });
/** Highest sequence number published per rank. */
export const eventsAnswer = z.object({ acknowledged: z.record(z.string(), z.int().nonnegative()), orders });

/** `write`: only under `runs/<runId>/<attempt>/<incarnation>/`. `read`: only the request's inputs and its checkpoints. */
export const objectUrlsRequest = z.object({
  operation: z.enum(['read', 'write']),
  uris: z.array(z.string()).min(1).max(500),
  /** What will be written to each, in their order: where the store can tell, another size is refused. */
  sizesBytes: z.array(z.int().nonnegative()).max(500).optional(),
});
/** `url` is http(s) (good for 15 minutes) or file:// when store and runner share a file system. */
export const objectUrlsAnswer = z.object({ urls: z.array(z.object({ uri: z.string(), url: z.string() })) });

export const listObjectsRequest = z.object({ prefix: z.string() });
export const listObjectsAnswer = z.object({
  objects: z.array(z.object({ uri: z.string(), sizeBytes: z.int().nonnegative() })),
});

const storedFile = z.object({ name: z.string(), sizeBytes: z.int().nonnegative(), sha256: z.string() });
/** One node's share; the checkpoint is committed when all of the run's nodes have reported theirs. */
export const checkpointReport = z.object({
  step: z.int().nonnegative(),
  node: z.int().nonnegative(),
  files: z.array(storedFile),
});
export const checkpointAnswer = z.object({
  committed: z.boolean(),
  uri: z.string().optional(),
  sha256: z.string().optional(),
});

/** Each node's runner reports; the attempt's outcome is the most telling of them. */
export const outcomeReport = z.object({ outcome: runOutcome, node: z.int().nonnegative().default(0) });
export const outcomeAnswer = z.object({ stored: z.boolean() });

export const endpointError = z.object({ code: errorCode, message: z.string() });

export type AttachAnswer = z.output<typeof attachAnswer>;
export type Orders = z.output<typeof orders>;
export type EventsAnswer = z.output<typeof eventsAnswer>;

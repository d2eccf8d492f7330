import { z } from 'zod';
import { errorCode } from './errors.js';
import { idOf } from './ids.js';
import { runResult } from './run-events.js';
import { RUN_REASONS, runParams } from './run-reasons.js';
import { sha256 } from './run-spec.js';

export const runResources = z.object({
  nodes: z.int().positive(),
  devicesPerNode: z.int().nonnegative(),
  deviceMemoryMib: z.int().nonnegative(),
  cpu: z.number().positive(),
  memoryMib: z.int().positive(),
  scratchMib: z.int().nonnegative(),
  /** Only devices of these products, as nodes spell them; absent: any that the profile allows. */
  deviceProducts: z.array(z.string()).optional(),
});
export type RunResources = z.output<typeof runResources>;

/** Why an attempt is to end. `restart`: the next one goes on at once, elsewhere where nodes are to be avoided. */
export const STOP_REASONS = ['cancel', 'pause', 'preempt', 'restart'] as const;
export type StopReason = (typeof STOP_REASONS)[number];

/** What should be: written only by training (a projection of its table), read by the trainer. Key `<runId>.spec`. */
export const runSpec = z.object({
  runId: idOf('run'),
  jobId: idOf('job').optional(),
  owner: z.object({ kind: z.enum(['job', 'evaluation', 'export']), id: z.string() }),
  attempt: z.int().positive(),
  /** Rises with every change of this projection. */
  generation: z.int().positive(),
  desired: z.enum(['running', 'stopped']),
  stopReason: z.enum(STOP_REASONS).optional(),
  stopGraceSeconds: z.int().positive(),
  /** Rises when a checkpoint is asked for now. */
  checkpointRequest: z.int().nonnegative(),
  requestUri: z.string(),
  requestSha256: sha256,
  resources: runResources,
  runtime: z.string(),
  profile: z.string(),
  queue: z.enum(['internal', 'external']),
  /** Of the queue outside; absent: the profile's. */
  queueName: z.string().optional(),
  priority: z.int(),
  deadlineSeconds: z.int().positive(),
  /** Nodes that attempts made from now on stay away from. */
  avoidNodes: z.array(z.string()).optional(),
  /** What training has stored of the trainer's answers: a missing status key never leads to a second creation. */
  seen: z.object({ attempt: z.int().positive(), objectUid: z.string().optional() }).optional(),
  /** The run, not merely an attempt, is finished: only deletion is left to do. */
  closed: z.boolean().optional(),
});
export type RunSpec = z.output<typeof runSpec>;

/** The runner's last word, stored as `outcome.json` beside the run's files. `code` absent: success. */
export const runOutcome = z.object({
  attempt: z.int().positive(),
  incarnation: z.int().positive(),
  code: errorCode.optional(),
  message: z.string(),
  hint: z.string().optional(),
  step: z.int().nonnegative(),
  result: runResult.optional(),
  /** Newest committed checkpoint. */
  checkpoint: z.object({ step: z.int().nonnegative(), uri: z.string(), sha256 }).optional(),
  /** The stored folder that `result.artifactDir` became, with the sha256 of its artifact manifest. */
  artifact: z.object({ uri: z.string(), sha256 }).optional(),
  lastSeq: z.record(z.string(), z.int().nonnegative()),
  /** Compressed events files in the artifact store, one per rank. */
  eventFiles: z.array(z.string()),
});
export type RunOutcome = z.output<typeof runOutcome>;

export const RUN_PHASES = ['queued', 'scheduling', 'creating', 'starting', 'running', 'stopping', 'ended'] as const;
export type RunPhase = (typeof RUN_PHASES)[number];

/** What is: written only by the trainer (compare-and-set). Key `<runId>.status`. */
export const runStatus = z.object({
  runId: idOf('run'),
  attempt: z.int().positive(),
  incarnation: z.int().nonnegative(),
  observedGeneration: z.int().nonnegative(),
  phase: z.enum(RUN_PHASES),
  reason: z.enum(RUN_REASONS),
  message: z.string(),
  /** The values of the reason's sentence, so that it can be said in the reader's language. */
  params: runParams.optional(),
  /** What the cluster itself said, cut to 1 KiB and without control characters. */
  excerpt: z.string().max(1024).optional(),
  objectName: z.string().optional(),
  objectUid: z.string().optional(),
  /** UIDs of the pods (locally: the one process id record) of the current incarnation. */
  pods: z.array(z.string()),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  outcome: runOutcome.optional(),
});
export type RunStatus = z.output<typeof runStatus>;

export const isTerminalPhase = (phase: RunPhase): boolean => phase === 'ended';
export const runSpecKey = (runId: string): string => `${runId}.spec`;
export const runStatusKey = (runId: string): string => `${runId}.status`;

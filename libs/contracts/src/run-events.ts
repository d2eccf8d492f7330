import { z } from 'zod';
import { clusterEvent } from './cluster-events.js';
import { errorCode } from './errors.js';

/** Numbers a step or evaluation may carry beside its fixed fields: unit and which direction is better. */
export const METRICS = {
  loss: { unit: 'nats/token', better: 'lower' },
  tokenAccuracy: { unit: 'share', better: 'higher' },
  perplexity: { unit: '1', better: 'lower' },
  learningRate: { unit: '1', better: null },
  gradNorm: { unit: '1', better: null },
  tokensPerSecond: { unit: 'tokens/s', better: 'higher' },
  stepMs: { unit: 'ms', better: 'lower' },
  memoryMib: { unit: 'MiB', better: 'lower' },
  evaluationLoss: { unit: 'nats/token', better: 'lower' },
  evaluationTokenAccuracy: { unit: 'share', better: 'higher' },
  evaluationPerplexity: { unit: '1', better: 'lower' },
  /** Of methods that compare: how often the chosen answer gains more than the rejected one, and by how much. */
  rewardAccuracy: { unit: 'share', better: 'higher' },
  rewardMargin: { unit: 'nats', better: 'higher' },
  evaluationRewardAccuracy: { unit: 'share', better: 'higher' },
  evaluationRewardMargin: { unit: 'nats', better: 'higher' },
  /** Of GRPO: what a step's answers were worth, and how far those to one prompt came apart. */
  rewardMean: { unit: 'points', better: 'higher' },
  rewardStd: { unit: 'points', better: null },
  groupsWithoutSpread: { unit: 'share', better: 'lower' },
  completionTokens: { unit: 'tokens', better: null },
  cutOffShare: { unit: 'share', better: 'lower' },
  clippedShare: { unit: 'share', better: null },
  klDivergence: { unit: 'nats/token', better: null },
  evaluationRewardMean: { unit: 'points', better: 'higher' },
  evaluationCompletionTokens: { unit: 'tokens', better: null },
  evaluationCutOffShare: { unit: 'share', better: 'lower' },
} as const;
export type MetricName = keyof typeof METRICS;

/** Memory of the run's processes as the runtime sees it. */
export const memoryUse = z.object({
  hostMib: z.number().nonnegative(),
  deviceMib: z.number().nonnegative().optional(),
});

const metricMap = z.record(z.string(), z.number());

/**
 * Scores over a set of rows; sums are over trained tokens. For preference methods `loss` is the method's, and the rest is
 * of the answers to learn: the chosen ones, or the desirable ones.
 */
export const score = z.object({
  rows: z.int().nonnegative(),
  trainedTokens: z.int().nonnegative(),
  loss: z.number(),
  /** Absent, with the next one, where no known answers are predicted: of reward models, and of GRPO. */
  perplexity: z.number().optional(),
  tokenAccuracy: z.number().optional(),
  /** What else the method knows of them, as in steps. */
  metrics: metricMap.optional(),
});
export type Score = z.output<typeof score>;

export const trainResult = z.object({
  mode: z.literal('train'),
  steps: z.int().nonnegative(),
  firstLoss: z.number(),
  lastLoss: z.number(),
  trainedTokens: z.int().nonnegative(),
  /** All tokens that went through the model in training, trained or not. */
  tokens: z.int().nonnegative(),
  tokensPerSecond: z.number(),
  peakMemoryMib: z.number(),
  memoryMode: z.string(),
  /** Folder of the final adapter or model, relative to the output folder. */
  artifactDir: z.string(),
  /** Held-out rows under the base (before step 0) and under the tuned model; absent without held-out rows. */
  base: score.optional(),
  tuned: score.optional(),
});
export const scoreResult = z.object({ mode: z.literal('score'), base: score, tuned: score.optional() });
/** Two steps with the longest rows, saved and gone on from: what the run will take at most. */
export const rehearseResult = z.object({
  mode: z.literal('rehearse'),
  steps: z.int().positive(),
  tokensPerStep: z.number().positive(),
  stepMs: z.number().positive(),
  /** With the next one of the process that took most; absent on a processor. */
  peakMemoryMib: z.number().positive(),
  deviceMib: z.number().positive().optional(),
  memoryMode: z.string(),
  checkpointMib: z.number().positive(),
});
export const runResult = z.discriminatedUnion('mode', [trainResult, scoreResult, rehearseResult]);
export type RunResult = z.output<typeof runResult>;
export type TrainResult = z.output<typeof trainResult>;

const head = {
  /** Counts from 1 per (incarnation, rank); gaps are legal. */
  seq: z.int().positive(),
  rank: z.int().nonnegative(),
  /** ISO 8601. */
  time: z.string(),
};

const event = <T extends string, S extends z.ZodRawShape>(type: T, shape: S) =>
  z.object({ type: z.literal(type), ...head, ...shape });

export const stepEvent = event('step', {
  step: z.int().positive(),
  totalSteps: z.int().positive(),
  epoch: z.number(),
  loss: z.number(),
  learningRate: z.number(),
  gradNorm: z.number(),
  /** Of this step alone. */
  tokens: z.int().nonnegative(),
  trainedTokens: z.int().nonnegative(),
  stepMs: z.number(),
  memory: memoryUse,
  metrics: metricMap,
});

export const failedEvent = event('failed', {
  code: errorCode,
  message: z.string(),
  hint: z.string(),
  step: z.int().nonnegative(),
});

/** One line of `events.<rank>.jsonl`. Lines of unknown type are kept and passed on, never a fault. */
export const runtimeEvent = z.discriminatedUnion('type', [
  event('started', { resumeStep: z.int().nonnegative(), worldSize: z.int().positive(), device: z.string() }),
  event('phase', { phase: z.enum(['loading', 'scoring-base', 'training', 'saving', 'scoring-tuned']) }),
  stepEvent,
  event('evaluation', {
    step: z.int().nonnegative(),
    loss: z.number(),
    tokenAccuracy: z.number().optional(),
    perplexity: z.number().optional(),
    metrics: metricMap,
  }),
  /** `dir` is relative to the output folder; its files are complete (fsynced, renamed). */
  event('checkpoint', { step: z.int().nonnegative(), dir: z.string() }),
  event('warning', { code: z.string(), message: z.string() }),
  event('heartbeat', { step: z.int().nonnegative() }),
  event('result', { result: runResult }),
  failedEvent,
]);
export type RuntimeEvent = z.output<typeof runtimeEvent>;
export type RuntimeEventType = RuntimeEvent['type'];

/** `checkpoint.json`: written by the run endpoint when every node has reported its files; only then it exists. */
export const checkpointManifest = z.object({
  version: z.literal(1),
  runId: z.string(),
  attempt: z.int().positive(),
  incarnation: z.int().positive(),
  step: z.int().nonnegative(),
  files: z.array(z.object({ name: z.string(), sizeBytes: z.int().nonnegative(), sha256: z.string() })),
});
export type CheckpointManifest = z.output<typeof checkpointManifest>;

/** A line of a process set on the run stream: a runtime's event, or one of the endpoint's own, with where it comes from. */
const runLine = z.object({
  runId: z.string(),
  attempt: z.int().positive(),
  incarnation: z.int().positive(),
  event: z.union([
    runtimeEvent,
    z.object({
      type: z.literal('checkpoint-stored'),
      time: z.string(),
      step: z.int().nonnegative(),
      uri: z.string(),
      sha256: z.string(),
    }),
  ]),
});
export type RunLine = z.output<typeof runLine>;

/** What the cluster says of an attempt: of none of its process sets. */
const runNews = z.object({ runId: z.string(), attempt: z.int().positive(), event: clusterEvent });
export type RunNews = z.output<typeof runNews>;

/** What the run stream carries. */
export const runStreamMessage = z.union([runLine, runNews]);
export type RunStreamMessage = z.output<typeof runStreamMessage>;

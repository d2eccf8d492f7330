import { z } from 'zod';
import { defineEvent, defineRequest } from '../define.js';
import { errorCode } from '../errors.js';
import { idOf } from '../ids.js';
import { page, pageQuery } from '../paging.js';
import { score } from '../run-events.js';
import { PROOFS } from './registry.js';

const share = z.object({ right: z.int().nonnegative(), total: z.int().nonnegative(), share: z.number() });
const bothShares = z.object({ base: share, tuned: share });

/** Measures of one side (base or tuned) over the held-out rows. */
export const sideScores = z.object({
  perplexity: z.number().nullable(),
  tokenAccuracy: z.number().nullable(),
  rougeL: z.number().nullable(),
  factAccuracy: z.number().nullable(),
});

export const evaluationSample = z.object({
  suite: z.string(),
  line: z.int(),
  question: z.string(),
  expected: z.string(),
  facts: z.array(z.string()),
  base: z.string(),
  tuned: z.string(),
  baseRight: z.boolean().nullable(),
  tunedRight: z.boolean().nullable(),
  /** Why the models could not be asked this row (it is longer than they read); it counts in no measure. */
  notAnswered: z.string().nullable().default(null),
});

export const evaluationRecord = z.object({
  id: idOf('evaluation'),
  jobId: z.string(),
  modelId: z.string(),
  baseModelId: z.string(),
  state: z.enum(['queued', 'running', 'completed', 'failed']),
  createdAt: z.string(),
  finishedAt: z.string().nullable(),
  progress: z.object({ done: z.int(), total: z.int() }),
  base: sideScores.nullable(),
  tuned: sideScores.nullable(),
  /** Share of rows whose answer contains all facts, by suite (`facts`, `refusals`, `general`, …). */
  suites: z.record(z.string(), bothShares),
  samples: z.array(evaluationSample),
  verdict: z.enum(PROOFS),
  verdictReason: z.string().nullable(),
  error: z.object({ code: errorCode, message: z.string(), hint: z.string() }).nullable(),
});
export type EvaluationRecord = z.output<typeof evaluationRecord>;

const s = 'luthier.v1.rpc.evaluation';
/** Idempotent by job; answers at once, the work ends with an event. */
export const evaluateJob = defineRequest({
  subject: `${s}.evaluate-job`,
  request: z.object({
    jobId: idOf('job'),
    modelId: idOf('model'),
    baseModelId: idOf('model'),
    heldOutFileId: z.string().nullable(),
    generalFileId: z.string().nullable(),
    /** What the run itself scored on the held-out rows. */
    base: score.nullable(),
    tuned: score.nullable(),
  }),
  response: evaluationRecord,
});
export const getEvaluation = defineRequest({
  subject: `${s}.get-evaluation`,
  request: z.object({ evaluationId: z.string().optional(), jobId: z.string().optional() }),
  response: evaluationRecord,
  errors: ['evaluation.not-found'],
});
/** `samples` are empty here, since a page of them would not fit into one message; `getEvaluation` has them. */
export const listEvaluations = defineRequest({
  subject: `${s}.list-evaluations`,
  request: pageQuery,
  response: page(evaluationRecord),
});

export const evaluationCompleted = defineEvent({
  subject: 'luthier.v1.event.evaluation.evaluation.completed',
  schema: z.object({
    evaluationId: z.string(),
    jobId: z.string(),
    modelId: z.string(),
    verdict: z.enum(PROOFS),
    verdictReason: z.string(),
  }),
  key: (e) => e.evaluationId,
});
export const evaluationFailed = defineEvent({
  subject: 'luthier.v1.event.evaluation.evaluation.failed',
  schema: z.object({
    evaluationId: z.string(),
    jobId: z.string(),
    modelId: z.string(),
    code: errorCode,
    message: z.string(),
  }),
  key: (e) => e.evaluationId,
});

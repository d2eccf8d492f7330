import { z } from 'zod';

const side = z.object({
  perplexity: z.number().nullable(),
  tokenAccuracy: z.number().nullable(),
  rougeL: z.number().nullable(),
  factAccuracy: z.number().nullable(),
});
const shares = z.object({ base: z.number(), tuned: z.number() });
const counts = z.object({ base: z.number().int(), tuned: z.number().int(), total: z.number().int() });

/** What `--json FILE` writes. Shares are 0 to 1, times are seconds, memory is MiB (sum of PSS of all our processes). */
export const demoReport = z.object({
  version: z.literal(1),
  /** Name of the base model that was tuned, and the source that it came from. */
  baseModel: z.string(),
  baseModelSource: z.string(),
  /** Id of the tuned model, and the name under which it answers. */
  model: z.string(),
  modelName: z.string(),
  base: side,
  tuned: side,
  /** Share right of the general questions. */
  general: shares.nullable(),
  refusals: counts.nullable(),
  verdict: z.string(),
  verdictReason: z.string().nullable(),
  job: z.object({
    id: z.string(),
    status: z.string(),
    steps: z.number().int(),
    firstLoss: z.number(),
    lastLoss: z.number(),
    tokensPerSecond: z.number(),
    trainedTokens: z.number().int().nullable(),
    planMib: z.number().nullable(),
    peakMib: z.number(),
  }),
  peakPssMib: z.number().nullable(),
  timings: z.record(z.string(), z.number()),
  totalSeconds: z.number(),
});
export type DemoReport = z.output<typeof demoReport>;

import { z } from 'zod';
import { SIMILARITY_METRICS } from '../grader.js';

const name = z.string().min(1).max(64);
const template = z
  .string()
  .min(1)
  .max(4096)
  .describe('`{{sample.output_text}}` is the answer, `{{item.x}}` the field `x` of the row');

const stringCheck = z.object({
  type: z.literal('string_check'),
  name: name.optional(),
  input: template,
  reference: template,
  operation: z.enum(['eq', 'ne', 'like', 'ilike']),
});
const textSimilarity = z.object({
  type: z.literal('text_similarity'),
  name: name.optional(),
  input: template,
  reference: template,
  evaluation_metric: z.enum([...SIMILARITY_METRICS, 'meteor', 'cosine']),
});
/** Those that would have to run a program or ask a model. They are taken here to be refused with the reason. */
const refused = z.object({ type: z.enum(['score_model', 'label_model', 'python', 'endpoint']) });

/** Graders as OpenAI writes them. */
export const httpGrader = z.discriminatedUnion('type', [
  stringCheck,
  textSimilarity,
  z.object({
    type: z.literal('multi'),
    name: name.optional(),
    graders: z.record(z.string(), z.discriminatedUnion('type', [stringCheck, textSimilarity, refused])),
    calculate_output: z
      .string()
      .min(1)
      .max(1024)
      .describe('Formula over the names of `graders`, as `0.7 * a + 0.3 * b`'),
  }),
  refused,
]);
export type HttpGrader = z.output<typeof httpGrader>;

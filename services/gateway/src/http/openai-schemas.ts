import { z } from 'zod';
import { FILE_PURPOSES, JOB_STATUSES, httpGrader, obstacle } from '@luthier/contracts';

/** OpenAI's objects as they stand on the wire; already snake_case. */
const unixSeconds = z.int().describe('Unix time in seconds');
const autoOr = z.union([z.literal('auto'), z.number()]);

export const openaiError = z.object({
  error: z.object({
    ...{ message: z.string(), type: z.string(), param: z.string().nullable(), code: z.string().nullable() },
    /** What is in the way of the run that was asked for. */
    obstacle: obstacle.optional(),
  }),
});

/** RFC 9457, with our code and the field at fault. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  param: z.string().nullable(),
  hint: z.string(),
  obstacle: obstacle.optional(),
  request_id: z.string(),
});

export const listOf = <T extends z.ZodType>(item: T) =>
  z.object({
    object: z.literal('list'),
    data: z.array(item),
    has_more: z.boolean(),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
  });

export const fileObject = z.object({
  id: z.string(),
  object: z.literal('file'),
  bytes: z.int(),
  created_at: unixSeconds,
  expires_at: unixSeconds.optional(),
  filename: z.string(),
  purpose: z.enum(FILE_PURPOSES),
  status: z.enum(['uploaded', 'processed', 'error']),
  status_details: z.string().optional(),
});
export const fileDeleted = z.object({ id: z.string(), object: z.literal('file'), deleted: z.boolean() });

const openaiHyperparameters = z.object({
  n_epochs: autoOr,
  batch_size: autoOr,
  learning_rate_multiplier: autoOr,
  learning_rate: z.number(),
});

/** Those of one method; what a method does not have is absent. */
const methodSettings = z
  .object({
    hyperparameters: openaiHyperparameters.extend({
      beta: z.number().optional(),
      loss_type: z.string().optional(),
      label_smoothing: z.number().optional(),
      simpo_gamma: z.number().optional(),
      center_rewards_coefficient: z.number().optional(),
      desirable_weight: z.number().optional(),
      undesirable_weight: z.number().optional(),
      num_generations: z.int().optional(),
      epsilon: z.number().optional(),
      temperature: z.number().optional(),
      max_completion_length: z.int().optional(),
    }),
    grader: httpGrader.optional(),
  })
  .optional();

export const jobObject = z.object({
  id: z.string(),
  object: z.literal('fine_tuning.job'),
  created_at: unixSeconds,
  model: z.string(),
  organization_id: z.string(),
  status: z.enum(JOB_STATUSES),
  training_file: z.string(),
  validation_file: z.string().nullable(),
  result_files: z.array(z.string()),
  seed: z.int(),
  hyperparameters: openaiHyperparameters,
  method: z.object({
    type: z.string(),
    supervised: methodSettings,
    pretrain: methodSettings,
    dpo: methodSettings,
    orpo: methodSettings,
    simpo: methodSettings,
    reward: methodSettings,
    kto: methodSettings,
    reinforcement: methodSettings,
  }),
  fine_tuned_model: z.string().nullable(),
  finished_at: unixSeconds.nullable(),
  estimated_finish: unixSeconds.nullable(),
  trained_tokens: z.int().nullable(),
  error: z.object({ code: z.string(), message: z.string(), param: z.string().nullable() }).nullable(),
  user_provided_suffix: z.string().nullable(),
  metadata: z.record(z.string(), z.string()),
  integrations: z.array(z.unknown()),
});

export const jobEventObject = z.object({
  object: z.literal('fine_tuning.job.event'),
  id: z.string(),
  created_at: unixSeconds,
  level: z.enum(['info', 'warn', 'error']),
  message: z.string(),
  type: z.enum(['message', 'metrics']),
  data: z.record(z.string(), z.unknown()).nullable(),
});

export const checkpointObject = z.object({
  object: z.literal('fine_tuning.job.checkpoint'),
  id: z.string(),
  created_at: unixSeconds,
  fine_tuning_job_id: z.string(),
  fine_tuned_model_checkpoint: z.string(),
  step_number: z.int(),
  metrics: z.record(z.string(), z.number()),
});

export const modelObject = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: unixSeconds,
  owned_by: z.string(),
});
export const modelList = z.object({ object: z.literal('list'), data: z.array(modelObject) });
export const modelDeletedObject = z.object({ id: z.string(), object: z.literal('model'), deleted: z.boolean() });

const textPart = z.object({ type: z.literal('text'), text: z.string().max(200_000) });
const content = z.union([z.string().max(200_000), z.array(textPart).max(64)]);

export const chatBody = z.object({
  model: z.string().min(1).describe('Id or name of a base or tuned model'),
  messages: z
    .array(z.object({ role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']), content: content.nullish() }))
    .min(1)
    .max(256),
  max_tokens: z.int().min(1).max(4096).nullish(),
  max_completion_tokens: z.int().min(1).max(4096).nullish(),
  temperature: z.number().min(0).max(2).nullish().describe('0, the default here, always takes the likeliest token'),
  top_p: z.number().gt(0).max(1).nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(4)]).nullish(),
  n: z.int().min(1).nullish().describe('Only 1 is supported'),
  stream: z.boolean().nullish().describe('Only false is supported'),
  tools: z.array(z.unknown()).nullish().describe('Not supported'),
  logprobs: z.boolean().nullish().describe('Not supported'),
  response_format: z.object({ type: z.string() }).nullish().describe('Only `text` is supported'),
});
export type ChatBody = z.output<typeof chatBody>;

export const chatCompletion = z.object({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: unixSeconds,
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      message: z.object({ role: z.literal('assistant'), content: z.string(), refusal: z.null() }),
      logprobs: z.null(),
      finish_reason: z.enum(['stop', 'length']),
    }),
  ),
  usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.int(), total_tokens: z.int() }),
});

import { z } from 'zod';

import { JOB_METHODS } from '../method-data.js';
import { priority } from '../priority.js';
import { hyperparameters, MODULES_TO_SAVE, OPTIMIZERS, PRECISIONS } from '../run-spec.js';
import { queueName } from '../services/training.js';
import { httpGrader } from './grader.js';

const auto = z.literal('auto');

/** OpenAI's names, and beside them the ones of transformers for those who want to say more. */
export const httpHyperparameters = z.strictObject({
  n_epochs: z.union([auto, z.number().min(1).max(50)]).optional(),
  batch_size: z.union([auto, z.int().min(1).max(256)]).optional(),
  learning_rate_multiplier: z.union([auto, z.number().positive()]).optional(),
  learning_rate: z.number().positive().max(1).optional(),
  max_steps: z.int().positive().optional(),
  lr_scheduler_type: z.enum(['cosine', 'linear', 'constant']).optional(),
  warmup_ratio: z.number().min(0).max(1).optional(),
  weight_decay: z.number().min(0).max(1).optional(),
  max_grad_norm: z.number().positive().optional(),
  eval_steps: z.int().positive().optional(),
  optimizer: z.enum(OPTIMIZERS).optional().describe('adamw; what is not adamw needs the PyTorch runtime'),
  neftune_noise_alpha: hyperparameters.shape.neftuneNoiseAlpha.describe('Noise on the embeddings while training; 5'),
  label_smoothing_factor: hyperparameters.shape.labelSmoothingFactor.describe('Of supervised and pretrain'),
  early_stopping_patience: hyperparameters.shape.earlyStoppingPatience.describe(
    'Evaluations (eval_steps) without a lower loss on validation_file after which training ends; the best model is kept',
  ),
});

const beta = z
  .union([auto, z.number().positive().max(100)])
  .optional()
  .describe('How much a comparison counts; dpo, kto: how closely the model stays by what it was. 0.1; simpo: 2');

const settingsOf = <S extends z.ZodType>(hyperparameters: S) =>
  z.object({ hyperparameters: hyperparameters.optional() }).optional();

const gradedBy = <S extends z.ZodType>(hyperparameters: S) =>
  z.object({ grader: httpGrader, hyperparameters: hyperparameters.optional() }).optional();

const grpoHyperparameters = httpHyperparameters.extend({
  num_generations: z.int().min(2).max(64).optional().describe('Answers to each prompt. 8'),
  beta: z
    .union([auto, z.number().min(0).max(100)])
    .optional()
    .describe('How closely the model stays by the base; 0: nothing holds it. 0'),
  epsilon: z.number().gt(0).lt(1).optional().describe('How far a token may move before it counts no more. 0.2'),
  temperature: z.number().gt(0).max(2).optional().describe('At which answers are drawn. 1'),
  max_completion_length: z.int().min(1).max(4096).optional().describe('Tokens of an answer at most. 256'),
  loss_type: z.enum(['grpo', 'dr_grpo']).optional(),
  num_iterations: z.int().min(1).max(16).optional().describe('Steps that learn from the same answers. 1'),
});

/** OpenAI's `supervised`, `dpo` and `reinforcement` (GRPO), and the others in the same form; names as TRL and LLaMA-Factory have them. */
export const httpMethod = z.object({
  type: z.enum([...JOB_METHODS, 'reinforcement']),
  supervised: settingsOf(httpHyperparameters),
  pretrain: settingsOf(httpHyperparameters),
  dpo: settingsOf(
    httpHyperparameters.extend({
      beta,
      label_smoothing: z.number().min(0).max(0.5).optional().describe('Share of pairs that may be the wrong way round'),
      loss_type: z.enum(['sigmoid', 'ipo', 'hinge']).optional(),
    }),
  ),
  orpo: settingsOf(httpHyperparameters.extend({ beta })),
  simpo: settingsOf(
    httpHyperparameters.extend({
      beta,
      simpo_gamma: z.number().min(0).max(100).optional().describe('The gap that is asked for between two answers'),
    }),
  ),
  reward: settingsOf(
    httpHyperparameters.extend({
      center_rewards_coefficient: z
        .number()
        .min(0)
        .max(100)
        .optional()
        .describe('How strongly the points of a pair are kept near 0; 0: not at all. 0.01'),
    }),
  ),
  kto: settingsOf(
    httpHyperparameters.extend({
      beta,
      desirable_weight: z.number().positive().max(100).optional(),
      undesirable_weight: z.number().positive().max(100).optional(),
    }),
  ),
  grpo: gradedBy(grpoHyperparameters),
  reinforcement: gradedBy(
    grpoHyperparameters.extend({
      eval_interval: z.union([auto, z.int().min(1)]).optional(),
      eval_samples: z.union([auto, z.int().min(1)]).optional(),
      compute_multiplier: z.union([auto, z.number().positive().max(10)]).optional(),
      reasoning_effort: z.enum(['default', 'low', 'medium', 'high']).optional(),
    }),
  ),
});

export const httpTuning = z.strictObject({
  type: z.enum(['lora', 'qlora', 'full', 'freeze']),
  r: z.int().min(1).max(1024).optional(),
  lora_alpha: z.number().positive().optional(),
  lora_dropout: z.number().min(0).max(1).optional(),
  target_modules: z.union([z.literal('all-linear'), z.array(z.string().min(1)).min(1)]).optional(),
  use_rslora: z.boolean().optional(),
  use_dora: z.boolean().optional(),
  init_lora_weights: z.enum(['default', 'pissa']).optional(),
  loraplus_lr_ratio: z.number().min(1).max(1000).optional().describe('How much faster B learns than A; 16'),
  modules_to_save: z
    .array(z.enum(MODULES_TO_SAVE))
    .max(MODULES_TO_SAVE.length)
    .optional()
    .describe('Trained whole beside the adapter; both where they are tied'),
  /** Of qlora. */
  bits: z.union([z.literal(4), z.literal(8)]).optional(),
  /** Of freeze: the topmost layers that are trained. */
  trainable_layers: z.int().positive().optional(),
});

export const httpResources = z.strictObject({
  nodes: z.int().min(1).max(1024).optional(),
  devices_per_node: z.int().min(0).max(128).optional().describe('GPUs on each node; 0: train on the CPU'),
  device_type: z.string().min(1).max(64).optional().describe('Part of a product name, such as "H100"'),
});

/**
 * Body of `POST /v1/fine_tuning/jobs` and `POST /api/v1/plan`. OpenAI's fields keep their meaning and unknown fields
 * beside them are tolerated, as its SDK sends what it likes; inside our own objects (`tuning`, `mix`) unknown keys are
 * refused.
 */
export const httpCreateJob = z.object({
  model: z.string().min(1),
  training_file: z.string().min(1),
  validation_file: z.string().nullish(),
  suffix: z.string().min(1).max(64).nullish(),
  seed: z.int().min(0).max(2147483647).nullish(),
  metadata: z
    .record(z.string().max(64), z.string().max(512))
    .refine((m) => Object.keys(m).length <= 16, 'at most 16 pairs')
    .nullish(),
  hyperparameters: httpHyperparameters.optional().describe('Deprecated by OpenAI in favour of those of the method'),
  method: httpMethod.optional(),
  tuning: httpTuning.optional(),
  mix: z.strictObject({ file_id: z.string(), share: z.number().gt(0).max(0.9) }).nullish(),
  general_file: z
    .string()
    .nullish()
    .describe('File with questions of general knowledge, to measure what was forgotten'),
  cutoff_length: z.int().min(16).max(131072).optional(),
  auto_fix: z.boolean().optional(),
  resources: httpResources
    .nullish()
    .describe('Devices for the run; left out: one device where there are devices. Refused when it can never fit.'),
  queue: queueName.nullish().describe('A queue of the cluster that decides when the run starts'),
  precision: z
    .enum(PRECISIONS)
    .nullish()
    .describe('What it is computed in; left out: what the device is fastest in. What is trained stays in float32'),
  rehearsal: z
    .boolean()
    .nullish()
    .describe('Try the hardest steps first, in a run of their own; left out: where the run takes an hour or more'),
  priority: priority.nullish().describe('Before which other waiting jobs it starts; left out: normal'),
});
export type HttpCreateJob = z.output<typeof httpCreateJob>;

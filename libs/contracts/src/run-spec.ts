import { z } from 'zod';
import { grader } from './grader.js';
import { idOf } from './ids.js';

/** Lower-case hexadecimal SHA-256. */
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in lower-case hexadecimal');
export const artifactUri = z
  .string()
  .regex(/^artifact:\/\/[a-z]+\/[A-Za-z0-9_-]+(\/[A-Za-z0-9._-]+)*$/, 'expected artifact://<kind>/<id>/<path>');

export const RUN_MODES = ['train', 'rehearse', 'score', 'export'] as const;
export type RunMode = (typeof RUN_MODES)[number];

/** What a model is computed in; what is trained is kept in float32 in each. float16 is for GPUs without bfloat16. */
export const PRECISIONS = ['float32', 'bfloat16', 'float16'] as const;
export type Precision = (typeof PRECISIONS)[number];

const probability = z.number().min(0).max(1);

/** What is minimised. Names of settings follow TRL and the papers. */
export const method = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('supervised') }),
  z.strictObject({ type: z.literal('pretrain') }),
  z.strictObject({
    type: z.literal('dpo'),
    loss: z.enum(['sigmoid', 'ipo', 'hinge']),
    beta: z.number().positive(),
    labelSmoothing: z.number().min(0).max(0.5),
  }),
  z.strictObject({ type: z.literal('orpo'), beta: z.number().positive() }),
  z.strictObject({ type: z.literal('simpo'), beta: z.number().positive(), gamma: z.number().nonnegative() }),
  z.strictObject({
    type: z.literal('kto'),
    beta: z.number().positive(),
    desirableWeight: z.number().positive(),
    undesirableWeight: z.number().positive(),
  }),
  /** A reward model: it gives points to answers instead of answering. The coefficient keeps points near 0. */
  z.strictObject({ type: z.literal('reward'), centerRewardsCoefficient: z.number().nonnegative() }),
  z.strictObject({
    type: z.literal('grpo'),
    /** Answers to each prompt, which are compared with each other. */
    groupSize: z.int().min(2).max(64),
    /** How closely the model stays by the base; 0: nothing holds it. */
    beta: z.number().nonnegative(),
    /** How far the probability of a token may move before it counts no more. */
    epsilon: z.number().gt(0).lt(1),
    /** At which answers are drawn. */
    temperature: z.number().gt(0).max(2),
    maxCompletionTokens: z.int().positive().max(4096),
    lossType: z.enum(['grpo', 'dr_grpo']),
    /** Steps that learn from the same answers. @default 1 */
    numIterations: z.int().min(1).max(16).optional(),
    grader,
  }),
]);
export type Method = z.output<typeof method>;

/** What can be trained whole beside an adapter: embeddings and output weights. */
export const MODULES_TO_SAVE = ['embed_tokens', 'lm_head'] as const;
export type ModuleToSave = (typeof MODULES_TO_SAVE)[number];

const loraFields = {
  /** Rank. */
  r: z.int().min(1).max(1024),
  loraAlpha: z.number().positive(),
  loraDropout: probability,
  /** Names of linear layers as in PEFT, or `all-linear`. */
  targetModules: z.union([z.literal('all-linear'), z.array(z.string().min(1)).min(1)]),
  useRslora: z.boolean(),
  /** Magnitudes and directions of the weights apart (DoRA). @default false */
  useDora: z.boolean().optional(),
  /** How A and B start; `pissa`: from the principal parts of the weights. @default 'default' */
  initLoraWeights: z.enum(['default', 'pissa']).optional(),
  /** How much faster B learns than A (LoRA+). @default 1 */
  loraplusLrRatio: z.number().min(1).max(1000).optional(),
  /** Modules trained whole beside A and B, and stored with them. Tied ones stay one matrix, and are named both. @default none */
  modulesToSave: z.array(z.enum(MODULES_TO_SAVE)).max(MODULES_TO_SAVE.length).optional(),
};
/** What is trained. Names of settings follow PEFT. */
export const tuning = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('lora'), ...loraFields }),
  /** A frozen model of 8 bits, or of 4: NF4 with double quantisation. */
  z.strictObject({ type: z.literal('qlora'), ...loraFields, bits: z.union([z.literal(4), z.literal(8)]) }),
  z.strictObject({ type: z.literal('full') }),
  z.strictObject({ type: z.literal('freeze'), trainableLayers: z.int().positive() }),
]);
export type Tuning = z.output<typeof tuning>;

export const OPTIMIZERS = ['adamw', 'adamw8bit', 'adafactor', 'muon'] as const;
export type Optimizer = (typeof OPTIMIZERS)[number];

export const hyperparameters = z.strictObject({
  epochs: z.number().positive().max(50),
  /** Upper bound of optimiser steps; null: all epochs. */
  maxSteps: z.int().positive().nullable(),
  /** Rows (pairs for preference data) per optimiser step, over all devices and accumulation. */
  globalBatch: z.int().positive().max(4096),
  learningRate: z.number().positive().max(1),
  schedule: z.enum(['cosine', 'linear', 'constant']),
  warmupRatio: probability,
  /** Of matrices, embeddings among them; not of biases, norms and other vectors. */
  weightDecay: z.number().min(0),
  adamBeta1: probability,
  adamBeta2: probability,
  adamEpsilon: z.number().positive(),
  maxGradNorm: z.number().positive(),
  /** Steps between evaluations on the held-out rows; null: only at the end. */
  evaluationSteps: z.int().positive().nullable(),
  /** @default 'adamw' */
  optimizer: z.enum(OPTIMIZERS).optional(),
  /** Noise on the embeddings while training (NEFTune); left out: none. */
  neftuneNoiseAlpha: z.number().positive().max(1000).optional(),
  /** Share of each trained token's weight that goes to all tokens alike; of supervised and pretrain. @default 0 */
  labelSmoothingFactor: z.number().min(0).max(0.9).optional(),
  /**
   * Evaluations on the held-out rows without a lower loss after which training ends; the model of the best evaluation is
   * kept. Left out: all steps, the last model.
   */
  earlyStoppingPatience: z.int().min(1).optional(),
});
export type Hyperparameters = z.output<typeof hyperparameters>;

export const parallelism = z.strictObject({ nodes: z.int().positive(), devicesPerNode: z.int().nonnegative() });

export const checkpointing = z.strictObject({
  /** Optimiser steps between checkpoints. */
  everySteps: z.int().positive(),
  keepLast: z.int().positive(),
});

export const limits = z.strictObject({
  /** Memory the runtime and its children may take; it refuses to start (42) when its estimate is above. */
  memoryMib: z.int().positive(),
  /** What a run may be planned to take of a GPU, where that is less than what is free there: after one that took too much. */
  deviceMemoryMib: z.int().positive().optional(),
  /** Threads for computing. */
  cpu: z.int().positive(),
  /** Running time over all attempts. */
  deadlineSeconds: z.int().positive(),
});

const common = {
  mode: z.enum(RUN_MODES),
  method,
  tuning,
  hyperparameters,
  parallelism,
  checkpointing,
  limits,
  seed: z.int().min(0).max(2147483647),
  /** Without it float32. */
  precision: z.enum(PRECISIONS).optional(),
};

/** A folder or file in the artifact store. For a folder, `sha256` is that of its manifest (`artifact-manifest.json`). */
export const artifactRef = z.strictObject({ uri: artifactUri, sha256 });
export type ArtifactRef = z.output<typeof artifactRef>;

export const runOwner = z.strictObject({
  kind: z.enum(['job', 'evaluation', 'export']),
  id: z.string().min(1),
});

/**
 * What a run is asked to do; immutable, lies in the artifact store and is named by URI and sha256.
 * `data.train` and `data.heldOut` are prepared datasets (folders with `manifest.json`; the reference's sha256 is the
 * manifest's own).
 */
export const runRequest = z.strictObject({
  version: z.literal(1),
  owner: runOwner,
  ...common,
  model: artifactRef,
  adapter: artifactRef.optional(),
  data: z.strictObject({ train: artifactRef.optional(), heldOut: artifactRef.optional() }),
});
export type RunRequest = z.output<typeof runRequest>;

const localPath = z.string().min(1);

/** What a runtime is given: the request with local paths. Read only these paths, write only under `outputDir`. */
export const runtimeSpec = z.strictObject({
  version: z.literal(1),
  runId: idOf('run'),
  attempt: z.int().positive(),
  incarnation: z.int().positive(),
  ...common,
  modelDir: localPath,
  adapterDir: localPath.optional(),
  data: z.strictObject({ trainDir: localPath.optional(), heldOutDir: localPath.optional() }),
  /** A checkpoint folder as this runtime wrote it. */
  resumeFrom: localPath.optional(),
  outputDir: localPath,
  /** Forces one way of spending memory; without it the runtime chooses by its estimate. */
  memoryMode: z.enum(['whole-step', 'layer-recompute']).optional(),
});
export type RuntimeSpec = z.output<typeof runtimeSpec>;

/** What `<runtime> capabilities` prints. */
export const capabilities = z.object({
  runtime: z.string(),
  version: z.string(),
  modes: z.array(z.enum(RUN_MODES)),
  /** `architectures` of config.json, e.g. LlamaForCausalLM. */
  architectures: z.array(z.string()),
  methods: z.array(z.string()),
  tunings: z.array(z.string()),
  /** What it has of `RUN_FEATURES`; left out: nothing. */
  features: z.array(z.string()).optional(),
  precisions: z.array(z.string()),
  /** Whether one run can train on the processors of several nodes; left out: no. */
  cpuNodes: z.boolean().optional(),
  engines: z.array(z.object({ name: z.string(), usable: z.boolean(), reason: z.string().optional() })),
  /** What it can compute on where it was asked; `precisions` above are those of any of them. */
  devices: z
    .array(
      z.object({
        type: z.enum(['cpu', 'cuda']),
        name: z.string(),
        memoryMib: z.int().positive().optional(),
        precisions: z.array(z.string()),
      }),
    )
    .optional(),
});
export type Capabilities = z.output<typeof capabilities>;

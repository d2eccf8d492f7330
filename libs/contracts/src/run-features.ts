import { MODULES_TO_SAVE } from './run-spec.js';
import type { Hyperparameters, Method, Tuning } from './run-spec.js';
import type { ModelShape } from './services/registry.js';

/** What a run can ask for beyond its method and kind of tuning. Not every runtime has each. */
export const RUN_FEATURES = [
  'dora',
  'pissa',
  'loraplus',
  'neftune',
  'label-smoothing',
  'adamw8bit',
  'adafactor',
  'muon',
  'nf4',
  'early-stopping',
  'modules-to-save',
] as const;
export type RunFeature = (typeof RUN_FEATURES)[number];

export interface AskedFeature {
  readonly feature: RunFeature;
  /** The field of a run's spec that asks for it. */
  readonly field: string;
}

/** Those that a runtime may lack, or that do not go with every other setting. */
type Weighed =
  ('optimizer' | 'neftuneNoiseAlpha' | 'labelSmoothingFactor') | ('earlyStoppingPatience' | 'evaluationSteps');

export interface RunSettings {
  readonly method: Method['type'];
  readonly tuning: Tuning;
  readonly hyperparameters: { [K in Weighed]?: Hyperparameters[K] };
}

const isAdapter = (tuning: Tuning): tuning is Extract<Tuning, { type: 'lora' | 'qlora' }> =>
  tuning.type === 'lora' || tuning.type === 'qlora';

/** What a runtime must have for these settings. Values that change nothing ask for nothing. */
export function featuresAsked({ tuning, hyperparameters }: Omit<RunSettings, 'method'>): AskedFeature[] {
  const { optimizer = 'adamw', neftuneNoiseAlpha, labelSmoothingFactor = 0 } = hyperparameters;
  const asked: AskedFeature[] = [];
  if (isAdapter(tuning)) {
    if (tuning.useDora) asked.push({ feature: 'dora', field: 'tuning.useDora' });
    if (tuning.initLoraWeights === 'pissa') asked.push({ feature: 'pissa', field: 'tuning.initLoraWeights' });
    if ((tuning.loraplusLrRatio ?? 1) !== 1) asked.push({ feature: 'loraplus', field: 'tuning.loraplusLrRatio' });
    if (tuning.modulesToSave?.length) asked.push({ feature: 'modules-to-save', field: 'tuning.modulesToSave' });
  }
  if (tuning.type === 'qlora' && tuning.bits === 4) asked.push({ feature: 'nf4', field: 'tuning.bits' });
  if (optimizer !== 'adamw') asked.push({ feature: optimizer, field: 'hyperparameters.optimizer' });
  if (neftuneNoiseAlpha !== undefined) asked.push({ feature: 'neftune', field: 'hyperparameters.neftuneNoiseAlpha' });
  if (labelSmoothingFactor > 0)
    asked.push({ feature: 'label-smoothing', field: 'hyperparameters.labelSmoothingFactor' });
  if (hyperparameters.earlyStoppingPatience !== undefined)
    asked.push({ feature: 'early-stopping', field: 'hyperparameters.earlyStoppingPatience' });
  return asked;
}

/** Of any linear layer. */
const shortestSide = ({ hiddenSize, intermediateSize, heads, kvHeads, headDim }: ModelShape): number =>
  Math.min(hiddenSize, intermediateSize, heads * headDim, kvHeads * headDim);

export interface Contradiction {
  /** The field to change. */
  readonly field: string;
  readonly message: string;
  readonly hint: string;
}

/** As `contradictionIn`, of embeddings and output weights that are trained whole beside an adapter. */
export function contradictionOfModules(
  method: Method['type'],
  { modulesToSave = [], initLoraWeights }: Extract<Tuning, { type: 'lora' | 'qlora' }>,
  shape: Pick<ModelShape, 'tiedEmbeddings'> | null,
): Contradiction | undefined {
  if (modulesToSave.length === 0) return undefined;
  const field = 'tuning.modulesToSave';
  if (method === 'reward') {
    const message = 'A reward model has a head of its own, which is trained in any case, and no output weights.';
    return { field, message, hint: 'Leave `modulesToSave` out.' };
  }
  if (initLoraWeights === 'pissa') {
    const message =
      'PiSSA begins with what is taken out of a frozen model; what is trained whole beside it is not frozen.';
    return { field, message, hint: 'Leave out `modulesToSave`, or `initLoraWeights`.' };
  }
  if (shape?.tiedEmbeddings && MODULES_TO_SAVE.some((module) => !modulesToSave.includes(module))) {
    const message =
      'Embeddings and output weights of this model are one matrix, which cannot be trained as one of them alone.';
    return {
      field,
      message,
      hint: 'Name both, "embed_tokens" and "lm_head": they stay one matrix. Or leave them out.',
    };
  }
  return undefined;
}

/**
 * Settings that no runtime can have together, or with a model of that shape; undefined: there are none. The PyTorch runtime
 * refuses the same.
 */
export function contradictionIn(
  { method, tuning, hyperparameters }: RunSettings,
  shape: ModelShape | null = null,
): Contradiction | undefined {
  if (isAdapter(tuning)) {
    if (hyperparameters.optimizer === 'muon') {
      return {
        field: 'hyperparameters.optimizer',
        message:
          'Muon makes the directions of a whole weight matrix alike; the thin matrices of an adapter have no use of it.',
        hint: 'Take "adamw" with lora or qlora, or train the weights themselves ("full", "freeze").',
      };
    }
    if (tuning.useDora && tuning.initLoraWeights === 'pissa') {
      return {
        field: 'tuning.initLoraWeights',
        message: 'DoRA and PiSSA both begin by splitting the weights, each in its own way.',
        hint: 'Take one of them: leave out `useDora`, or `initLoraWeights`.',
      };
    }
    const most = shape === null ? tuning.r : shortestSide(shape);
    if (tuning.initLoraWeights === 'pissa' && tuning.r > most) {
      return {
        field: 'tuning.r',
        message: `PiSSA begins with the principal parts of the weights; those of this model have at most ${most}.`,
        hint: `Take a rank of at most ${most}.`,
      };
    }
    if (tuning.initLoraWeights === 'pissa' && method === 'reward') {
      return {
        field: 'tuning.initLoraWeights',
        message: 'PiSSA begins with what a model that answers is made of; a reward model has a new head besides.',
        hint: 'Leave `initLoraWeights` out.',
      };
    }
    const ofModules = contradictionOfModules(method, tuning, shape);
    if (ofModules) return ofModules;
  }
  if ((hyperparameters.labelSmoothingFactor ?? 0) > 0 && method !== 'supervised' && method !== 'pretrain') {
    return {
      field: 'hyperparameters.labelSmoothingFactor',
      message: `Label smoothing is for learning single tokens; "${method}" compares answers.`,
      hint: 'Leave it out; DPO has a `labelSmoothing` of its own, for pairs that may be the wrong way round.',
    };
  }
  if (hyperparameters.earlyStoppingPatience !== undefined && (hyperparameters.evaluationSteps ?? null) === null) {
    return {
      field: 'hyperparameters.earlyStoppingPatience',
      message: 'Early stopping counts evaluations during training, and none are asked for.',
      hint: 'Say after how many steps each is to be made (`evaluationSteps`; over HTTP `eval_steps`), or leave the patience out.',
    };
  }
  return undefined;
}

import { describe, expect, it } from '@jest/globals';
import { contradictionIn, featuresAsked } from './run-features.js';
import type { RunSettings } from './run-features.js';
import type { Tuning } from './run-spec.js';
import type { ModelShape } from './services/registry.js';

const LORA: Extract<Tuning, { type: 'lora' }> = {
  type: 'lora',
  ...{ r: 8, loraAlpha: 16, loraDropout: 0, targetModules: 'all-linear' as const, useRslora: false },
};
const SHAPE: ModelShape = {
  ...{ architecture: 'LlamaForCausalLM', hiddenSize: 64, intermediateSize: 128, layers: 2, heads: 4, kvHeads: 1 },
  ...{ headDim: 16, vocabularySize: 96, tiedEmbeddings: true, contextLength: 64, parameters: 1, weightBytes: 4 },
};
const run = (change: Partial<RunSettings>): RunSettings => ({
  ...{ method: 'supervised', tuning: LORA, hyperparameters: {}, ...change },
});

describe('what a run asks of a runtime', () => {
  it('is named with the field that asks it', () => {
    const tuning = { ...LORA, useDora: true, loraplusLrRatio: 16 };
    const hyperparameters = { optimizer: 'adafactor', neftuneNoiseAlpha: 5, labelSmoothingFactor: 0.1 } as const;
    expect(featuresAsked({ tuning, hyperparameters })).toEqual([
      { feature: 'dora', field: 'tuning.useDora' },
      { feature: 'loraplus', field: 'tuning.loraplusLrRatio' },
      { feature: 'adafactor', field: 'hyperparameters.optimizer' },
      { feature: 'neftune', field: 'hyperparameters.neftuneNoiseAlpha' },
      { feature: 'label-smoothing', field: 'hyperparameters.labelSmoothingFactor' },
    ]);
    expect(featuresAsked({ tuning: { ...LORA, initLoraWeights: 'pissa' }, hyperparameters: {} })).toEqual([
      { feature: 'pissa', field: 'tuning.initLoraWeights' },
    ]);
    const bits = (count: 4 | 8): object[] =>
      featuresAsked({ tuning: { ...LORA, type: 'qlora', bits: count }, hyperparameters: {} });
    expect(bits(4)).toEqual([{ feature: 'nf4', field: 'tuning.bits' }]);
    expect(bits(8)).toEqual([]);
  });

  it('is early stopping where a patience is given', () => {
    expect(featuresAsked({ tuning: LORA, hyperparameters: { evaluationSteps: 4, earlyStoppingPatience: 1 } })).toEqual([
      { feature: 'early-stopping', field: 'hyperparameters.earlyStoppingPatience' },
    ]);
  });

  it('is nothing where the settings say what would be done anyway', () => {
    const tuning: Tuning = { ...LORA, useDora: false, initLoraWeights: 'default', loraplusLrRatio: 1 };
    expect(featuresAsked({ tuning, hyperparameters: { optimizer: 'adamw', labelSmoothingFactor: 0 } })).toEqual([]);
  });
});

describe('modules that are trained whole beside an adapter', () => {
  const modules = (...modulesToSave: ('embed_tokens' | 'lm_head')[]) => ({ ...LORA, modulesToSave });
  const shape = (tiedEmbeddings: boolean): ModelShape => ({ ...SHAPE, tiedEmbeddings });

  it('are a feature of a runtime, unless there are none', () => {
    const asked = { feature: 'modules-to-save', field: 'tuning.modulesToSave' };
    expect(featuresAsked({ tuning: modules('lm_head'), hyperparameters: {} })).toEqual([asked]);
    expect(featuresAsked({ tuning: modules(), hyperparameters: {} })).toEqual([]);
  });

  it('are both of them where they are one matrix', () => {
    const of = (tied: boolean, tuning: Tuning) => contradictionIn(run({ tuning }), shape(tied));
    const refused = { field: 'tuning.modulesToSave', hint: expect.stringContaining('Name both') };
    expect(of(true, modules('lm_head'))).toMatchObject(refused);
    expect(of(true, modules('embed_tokens'))).toMatchObject(refused);
    expect(of(true, modules('lm_head', 'embed_tokens'))).toBeUndefined();
    expect(of(false, modules('lm_head'))).toBeUndefined();
  });

  it('go with no reward model and no PiSSA', () => {
    const tuning = modules('lm_head');
    const refused = { field: 'tuning.modulesToSave' };
    expect(contradictionIn(run({ method: 'reward', tuning }))).toMatchObject(refused);
    expect(contradictionIn(run({ tuning: { ...tuning, initLoraWeights: 'pissa' } }))).toMatchObject(refused);
    expect(contradictionIn(run({ method: 'reward', tuning: modules() }))).toBeUndefined();
  });
});

describe('settings that no runtime can have together', () => {
  it.each<[string, Partial<RunSettings>, string]>([
    ['Muon for an adapter', { hyperparameters: { optimizer: 'muon' } }, 'hyperparameters.optimizer'],
    ['DoRA and PiSSA', { tuning: { ...LORA, useDora: true, initLoraWeights: 'pissa' } }, 'tuning.initLoraWeights'],
    ['PiSSA and points', { method: 'reward', tuning: { ...LORA, initLoraWeights: 'pissa' } }, 'tuning.initLoraWeights'],
    [
      'label smoothing of answers that are compared',
      { method: 'kto', hyperparameters: { labelSmoothingFactor: 0.1 } },
      'hyperparameters.labelSmoothingFactor',
    ],
    ...[undefined, null].map((evaluationSteps): [string, Partial<RunSettings>, string] => [
      `patience without evaluations (${evaluationSteps})`,
      { hyperparameters: { earlyStoppingPatience: 3, ...(evaluationSteps === null && { evaluationSteps }) } },
      'hyperparameters.earlyStoppingPatience',
    ]),
  ])('are named by their field: %s', (_, change, field) => {
    expect(contradictionIn(run(change))).toMatchObject({ field });
  });

  it('are a rank that the weights of the model do not have', () => {
    const of = (r: number) => contradictionIn(run({ tuning: { ...LORA, r, initLoraWeights: 'pissa' } }), SHAPE);
    expect(of(17)).toMatchObject({ field: 'tuning.r', hint: expect.stringContaining('16') });
    expect(of(16)).toBeUndefined();
  });

  it.each<[string, Partial<RunSettings>]>([
    ['Muon for weights', { tuning: { type: 'full' }, hyperparameters: { optimizer: 'muon' } }],
    ['8-bit AdamW for an adapter', { hyperparameters: { optimizer: 'adamw8bit' } }],
    ['patience with evaluations', { hyperparameters: { earlyStoppingPatience: 3, evaluationSteps: 4 } }],
    ['label smoothing of text', { method: 'pretrain', hyperparameters: { labelSmoothingFactor: 0.1 } }],
  ])('are not among: %s', (_, change) => {
    expect(contradictionIn(run(change))).toBeUndefined();
  });
});

import { describe, expect, it } from '@jest/globals';
import { AppError, httpCreateJob, newId, planJob } from '@luthier/contracts';
import { inPublicNames, toJobRequest } from './job-request.js';

const training_file = newId('file');
const requestOf = (body: object) => toJobRequest(httpCreateJob.parse({ model: 'm', training_file, ...body }));

const CHECK = {
  ...{ type: 'string_check', name: 'right', input: '{{sample.output_text}}', reference: '{{item.answer}}' },
  operation: 'eq',
};
const SIMILAR = (evaluation_metric: string): object => ({
  ...{ type: 'text_similarity', name: 'like', input: '{{sample.output_text}}', reference: '{{item.answer}}' },
  evaluation_metric,
});
const mixed = (calculate_output: string, a: object = CHECK): object => ({
  ...{ type: 'multi', name: 'both', graders: { a, b: SIMILAR('rouge_l') }, calculate_output },
});
const graded = (grader: object): object => ({ method: { type: 'grpo', grpo: { grader } } });

describe('the public body of a job', () => {
  it('with only what is required leaves everything else to training', () => {
    const request = requestOf({});
    expect(planJob.request.parse(request)).toEqual(request);
    expect(request).toMatchObject({ hyperparameters: {}, tuning: null, mix: null, metadata: {}, autoFix: false });
    expect(request).toMatchObject({ resources: null, queue: null, priority: null });
  });

  it('leaves open what resources do not say, and refuses what makes no sense on a CPU', () => {
    expect(requestOf({ resources: {} }).resources).toEqual({ nodes: 1, devicesPerNode: null, deviceType: null });
    expect(requestOf({ resources: { devices_per_node: 0 } }).resources).toMatchObject({ devicesPerNode: 0 });
    const refused = (resources: object) => () => requestOf({ resources });
    expect(requestOf({ resources: { nodes: 2, devices_per_node: 0 } }).resources).toMatchObject({
      ...{ nodes: 2, devicesPerNode: 0 },
    });
    expect(refused({ device_type: 'H100', devices_per_node: 0 })).toThrow(/resources\.device_type/);
  });

  it.each([
    [{ resources: { nodes: 0 } }],
    [{ resources: { devices_per_node: -1 } }],
    [{ resources: { gpus: 1 } }],
    [{ queue: 'Not A Queue' }],
    [{ priority: 'urgent' }],
    [{ priority: 7 }],
  ])('refuses %j', (body) => expect(() => requestOf(body)).toThrow());

  it('takes tunings and optimisers by the names that PEFT and transformers have, and refuses by them', () => {
    const request = requestOf({
      tuning: {
        type: 'qlora',
        r: 8,
        use_dora: true,
        init_lora_weights: 'default',
        loraplus_lr_ratio: 16,
        modules_to_save: ['lm_head'],
      },
      method: {
        type: 'supervised',
        supervised: {
          hyperparameters: {
            ...{ optimizer: 'adamw8bit', neftune_noise_alpha: 5, label_smoothing_factor: 0.1 },
            ...{ eval_steps: 4, early_stopping_patience: 2 },
          },
        },
      },
    });
    expect(request.tuning).toMatchObject({
      ...{
        type: 'qlora',
        bits: 4,
        useDora: true,
        initLoraWeights: 'default',
        loraplusLrRatio: 16,
        modulesToSave: ['lm_head'],
      },
    });
    expect(request.hyperparameters).toEqual({
      ...{ optimizer: 'adamw8bit', neftuneNoiseAlpha: 5, labelSmoothingFactor: 0.1 },
      ...{ evaluationSteps: 4, earlyStoppingPatience: 2 },
    });
    expect(() => requestOf({ tuning: { type: 'lora', init_lora_weights: 'magic' } })).toThrow();
    const refused = new AppError('request.invalid', 'no', { param: 'tuning.initLoraWeights' });
    expect(inPublicNames(refused)).toMatchObject({ param: 'tuning.init_lora_weights' });
    expect(inPublicNames(refused.withParam('hyperparameters.earlyStoppingPatience'))).toMatchObject({
      param: 'hyperparameters.early_stopping_patience',
    });
  });

  it('carries every field over', () => {
    const general_file = newId('file');
    const hyperparameters = {
      n_epochs: 2,
      batch_size: 4,
      learning_rate_multiplier: 1.5,
      learning_rate: 0.001,
      max_steps: 9,
      lr_scheduler_type: 'linear',
      warmup_ratio: 0.1,
      weight_decay: 0.2,
      max_grad_norm: 2,
      eval_steps: 3,
    };
    const request = requestOf({
      validation_file: training_file,
      general_file,
      suffix: 's',
      seed: 1,
      metadata: { a: 'b' },
      hyperparameters,
      mix: { file_id: general_file, share: 0.1 },
      cutoff_length: 128,
      auto_fix: true,
      resources: { nodes: 2, devices_per_node: 8, device_type: 'H100' },
      queue: 'team-a',
      priority: 'high',
      precision: 'bfloat16',
      rehearsal: true,
    });
    expect(planJob.request.parse(request)).toEqual({
      model: 'm',
      trainingFile: training_file,
      validationFile: training_file,
      generalFile: general_file,
      suffix: 's',
      seed: 1,
      metadata: { a: 'b' },
      method: { type: 'supervised' },
      tuning: null,
      mix: { fileId: general_file, share: 0.1 },
      cutoffLength: 128,
      autoFix: true,
      resources: { nodes: 2, devicesPerNode: 8, deviceType: 'H100' },
      queue: 'team-a',
      precision: 'bfloat16',
      rehearsal: true,
      priority: 'high',
      hyperparameters: {
        epochs: 2,
        globalBatch: 4,
        learningRateMultiplier: 1.5,
        learningRate: 0.001,
        maxSteps: 9,
        schedule: 'linear',
        warmupRatio: 0.1,
        weightDecay: 0.2,
        maxGradNorm: 2,
        evaluationSteps: 3,
      },
    });
  });

  it.each([
    [
      { type: 'lora' },
      { type: 'lora', r: 16, loraAlpha: 32, loraDropout: 0, targetModules: 'all-linear', useRslora: false },
    ],
    [
      { type: 'qlora', r: 4, bits: 8 },
      { type: 'qlora', r: 4, loraAlpha: 8, loraDropout: 0, targetModules: 'all-linear', useRslora: false, bits: 8 },
    ],
    [{ type: 'full' }, { type: 'full' }],
    [
      { type: 'freeze', trainable_layers: 2 },
      { type: 'freeze', trainableLayers: 2 },
    ],
  ])('fills in the rest of the tuning %j', (tuning, expected) => {
    expect(requestOf({ tuning }).tuning).toEqual(expected);
  });

  it.each([
    [{ method: { type: 'dpo', supervised: { hyperparameters: {} } } }, 'request.invalid', 'method.supervised'],
    [{ method: { type: 'reinforcement' } }, 'request.invalid', 'method.reinforcement.grader'],
    [{ method: { type: 'grpo' } }, 'request.invalid', 'method.grpo.grader'],
    [graded({ ...CHECK, reference: '{{x}}' }), 'request.invalid', 'method.grpo.grader.reference'],
    [graded(mixed('a + c')), 'request.invalid', 'method.grpo.grader.calculate_output'],
    [graded(mixed('a', { type: 'python' })), 'request.unsupported', 'method.grpo.grader.graders.a.type'],
    [graded(mixed('a', { ...CHECK, input: '{{' })), 'request.invalid', 'method.grpo.grader.graders.a.input'],
    [graded({ type: 'score_model', model: 'x' }), 'request.unsupported', 'method.grpo.grader.type'],
    [graded(SIMILAR('cosine')), 'request.unsupported', 'method.grpo.grader.evaluation_metric'],
    [graded(SIMILAR('meteor')), 'request.unsupported', 'method.grpo.grader.evaluation_metric'],
    [
      {
        method: { type: 'reinforcement', reinforcement: { grader: CHECK, hyperparameters: { compute_multiplier: 2 } } },
      },
      'request.unsupported',
      'method.reinforcement.hyperparameters.compute_multiplier',
    ],
    [{ training_file: '../etc/passwd' }, 'file.not-found', 'training_file'],
    [{ mix: { file_id: 'x', share: 0.1 } }, 'file.not-found', 'mix.file_id'],
    [{ tuning: { type: 'freeze' } }, 'request.invalid', 'tuning.trainable_layers'],
  ])('%j is refused with %s at %s', (body, code, param) => {
    expect(() => requestOf(body)).toThrow(expect.objectContaining({ code, param }));
  });

  it.each([
    [{ type: 'score_model', model: 'x' }, 'would ask another model', 'Use "string_check"'],
    [{ type: 'python' }, 'would run code of a request', 'Use "string_check"'],
    [SIMILAR('meteor'), 'needs a dictionary', 'Use "fuzzy_match"'],
    [SIMILAR('cosine'), 'no model of embeddings', 'Use "fuzzy_match"'],
  ])('refuses the grader %j with the reason and what to use instead', (grader, reason, hint) => {
    const said = { message: expect.stringContaining(reason), hint: expect.stringContaining(hint) };
    expect(() => requestOf(graded(grader))).toThrow(expect.objectContaining(said));
  });

  it.each([
    ['dpo', { loss: 'sigmoid', beta: 0.1, labelSmoothing: 0 }],
    ['orpo', { beta: 0.1 }],
    ['simpo', { beta: 2, gamma: 0.5 }],
    ['kto', { beta: 0.1, desirableWeight: 1, undesirableWeight: 1 }],
    ['reward', { centerRewardsCoefficient: 0.01 }],
    ['pretrain', {}],
  ])('fills in what the field takes for %s', (type, settings) => {
    const request = requestOf({ method: { type } });
    expect(planJob.request.parse(request)).toEqual(request);
    expect(request).toMatchObject({ hyperparameters: {} });
    expect(request.method).toEqual({ type, ...settings });
    expect(requestOf({ method: { type, [type]: {} } }).method).toEqual(request.method);
  });

  it.each([
    ['dpo', { beta: 0.2, loss_type: 'ipo', label_smoothing: 0.1 }, { beta: 0.2, loss: 'ipo', labelSmoothing: 0.1 }],
    ['dpo', { beta: 'auto' }, { beta: 0.1, loss: 'sigmoid', labelSmoothing: 0 }],
    ['orpo', { beta: 0.3 }, { beta: 0.3 }],
    ['simpo', { beta: 2.5, simpo_gamma: 1 }, { beta: 2.5, gamma: 1 }],
    ['reward', { center_rewards_coefficient: 0 }, { centerRewardsCoefficient: 0 }],
    [
      'kto',
      { beta: 0.2, desirable_weight: 1.3, undesirable_weight: 2 },
      { beta: 0.2, desirableWeight: 1.3, undesirableWeight: 2 },
    ],
  ])('takes the settings of %s by the names that users know: %j', (type, given, settings) => {
    const hyperparameters = { ...given, n_epochs: 2, learning_rate: 1e-5 };
    const request = requestOf({ method: { type, [type]: { hyperparameters } } });
    expect(request.method).toEqual({ type, ...settings });
    expect(request.hyperparameters).toEqual({ epochs: 2, learningRate: 1e-5 });
  });

  it.each([
    ['a setting of another method', { type: 'orpo', orpo: { hyperparameters: { simpo_gamma: 1 } } }],
    ['a weight below nothing', { type: 'kto', kto: { hyperparameters: { desirable_weight: -1 } } }],
    ['more noise than signal', { type: 'dpo', dpo: { hyperparameters: { label_smoothing: 0.6 } } }],
  ])('refuses %s', (_what, method) => expect(() => requestOf({ method })).toThrow());

  it('takes GRPO by the name of OpenAI and by that of TRL, with the same meaning', () => {
    const hyperparameters = {
      n_epochs: 2,
      num_generations: 4,
      max_completion_length: 32,
      loss_type: 'dr_grpo',
      num_iterations: 2,
    };
    const named = requestOf({ method: { type: 'grpo', grpo: { grader: mixed('0.5 * a + b'), hyperparameters } } });
    expect(planJob.request.parse(named)).toEqual(named);
    expect(named.hyperparameters).toEqual({ epochs: 2 });
    expect(named.method).toMatchObject({
      ...{ type: 'grpo', groupSize: 4, beta: 0, epsilon: 0.2, temperature: 1, maxCompletionTokens: 32 },
      ...{ lossType: 'dr_grpo', numIterations: 2 },
      grader: {
        graders: [{ name: 'a' }, { name: 'b', evaluationMetric: 'rouge_l' }],
        calculateOutput: '0.5 * a + b',
      },
    });
    const settings = { ...hyperparameters, eval_interval: 5, eval_samples: 'auto', compute_multiplier: 'auto' };
    const reinforcement = {
      grader: mixed('0.5 * a + b'),
      hyperparameters: { ...settings, reasoning_effort: 'default' },
    };
    const official = requestOf({ method: { type: 'reinforcement', reinforcement } });
    expect(official.method).toEqual(named.method);
    expect(official.hyperparameters).toEqual({ epochs: 2, evaluationSteps: 5 });
  });

  it('gives refusals of training the public field names', () => {
    const named = (param: string, code: 'request.invalid' | 'model.not-found' = 'request.invalid') =>
      (inPublicNames(new AppError(code, 'no', { param })) as AppError).param;
    expect(named('hyperparameters.epochs')).toBe('hyperparameters.n_epochs');
    expect(named('', 'model.not-found')).toBe('model');
    expect(named('trainingFile')).toBe('trainingFile');
  });
});

import { describe, expect, it } from '@jest/globals';
import { pairsJob } from '../../../dev/fixtures/comparison';
import { EMPTY_FORM, formOf, jobBody, withChange, wrongFields } from './job-form-state';
import type { JobForm } from './job-form-state';
import type { Method } from './job-methods';

const FORM = { ...EMPTY_FORM, model: 'tiny', trainingFile: 'file-1' };

describe('the form of a new job', () => {
  it('asks for nothing before model and training file are chosen', () => {
    expect(jobBody(EMPTY_FORM)).toBeNull();
    expect(jobBody({ ...FORM, trainingFile: '' })).toBeNull();
  });

  it('leaves to the platform what was left open', () => {
    expect(jobBody(FORM)).toEqual({
      model: 'tiny',
      training_file: 'file-1',
      method: { type: 'supervised', supervised: { hyperparameters: {} } },
    });
  });

  it('asks for the chosen method with its own settings, and no others', () => {
    const filled = { ...FORM, beta: '0.2', gamma: '1', epochs: '1' };
    const methodOf = (method: Method): unknown => jobBody({ ...filled, method })?.method;
    expect(methodOf('dpo')).toEqual({ type: 'dpo', dpo: { hyperparameters: { n_epochs: 1, beta: 0.2 } } });
    expect(methodOf('simpo')).toEqual({
      ...{ type: 'simpo', simpo: { hyperparameters: { n_epochs: 1, beta: 0.2, simpo_gamma: 1 } } },
    });
    expect(methodOf('pretrain')).toEqual({ type: 'pretrain', pretrain: { hyperparameters: { n_epochs: 1 } } });
    expect(wrongFields({ ...FORM, labelSmoothing: '0.7' })).toHaveProperty('labelSmoothing');
  });

  it('takes over method and settings of an earlier job', () => {
    expect(formOf(pairsJob)).toMatchObject({ method: 'dpo', beta: '0.1', labelSmoothing: '0', gamma: '' });
  });

  it('writes what was filled in', () => {
    const body = jobBody({
      ...FORM,
      heldOutFile: 'file-2',
      mixFile: 'file-3',
      mixPercent: '20',
      suffix: ' support ',
      rehearsal: 'yes',
      epochs: '3',
      learningRate: '2e-3',
      rank: '16',
      seed: '0',
    });
    expect(body).toEqual({
      model: 'tiny',
      training_file: 'file-1',
      validation_file: 'file-2',
      mix: { file_id: 'file-3', share: 0.2 },
      suffix: 'support',
      rehearsal: true,
      seed: 0,
      method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 3, learning_rate: 0.002 } } },
      tuning: { type: 'lora', r: 16 },
    });
  });

  it('asks for all weights or for layers, and then for no adapter', () => {
    const filled = { ...FORM, rank: '8', trainableLayers: '3' };
    expect(jobBody({ ...filled, tuning: 'full' })?.tuning).toEqual({ type: 'full' });
    expect(jobBody({ ...filled, tuning: 'freeze' })?.tuning).toEqual({ type: 'freeze', trainable_layers: 3 });
    expect(jobBody({ ...FORM, tuning: 'freeze', trainableLayers: '' })).toBeNull();
    expect(withChange({ ...FORM, tuning: 'full' }, { 'tuning.type': 'lora' }).tuning).toBe('lora');
    expect(formOf({ ...pairsJob, tuning: { type: 'freeze', trainable_layers: 5 } })).toMatchObject({
      ...{ tuning: 'freeze', trainableLayers: '5', rank: '' },
    });
  });

  it('asks for few bits and finer settings only where they were chosen, and takes them over', () => {
    const filled = { ...FORM, tuning: 'qlora', bits: '8', variant: 'dora', loraplusRatio: '16' } as const;
    const body = jobBody({ ...filled, optimizer: 'adamw8bit', noiseAlpha: '5' });
    expect(body?.tuning).toEqual({ type: 'qlora', bits: 8, use_dora: true, loraplus_lr_ratio: 16 });
    expect(body?.method).toEqual({
      ...{ type: 'supervised', supervised: { hyperparameters: { optimizer: 'adamw8bit', neftune_noise_alpha: 5 } } },
    });
    expect(jobBody({ ...filled, tuning: 'full' })?.tuning).toEqual({ type: 'full' });
    const changed = withChange(FORM, { 'tuning.type': 'qlora', 'tuning.bits': 4 });
    expect(jobBody(changed)?.tuning).toEqual({ type: 'qlora', bits: 4 });
    const lora = { lora_dropout: 0, target_modules: 'all-linear', use_rslora: false, r: 8, lora_alpha: 16 } as const;
    const again = formOf({ ...pairsJob, tuning: { type: 'qlora', bits: 8, ...lora, init_lora_weights: 'pissa' } });
    expect(again).toMatchObject({ tuning: 'qlora', bits: '8', variant: 'pissa', optimizer: 'adamw' });
    expect(wrongFields({ ...FORM, loraplusRatio: '0.5' })).toHaveProperty('loraplusRatio');
  });

  it('asks for embeddings and head beside an adapter, and takes them over', () => {
    const asked = (modules: JobForm['modules']) => jobBody({ ...FORM, tuning: 'lora', modules })?.tuning;
    expect(asked('both')).toEqual({ type: 'lora', modules_to_save: ['embed_tokens', 'lm_head'] });
    expect(asked('lm_head')).toEqual({ type: 'lora', modules_to_save: ['lm_head'] });
    expect(jobBody({ ...FORM, tuning: 'full', modules: 'both' })?.tuning).toEqual({ type: 'full' });
    const lora = { lora_dropout: 0, target_modules: 'all-linear', use_rslora: false, r: 8, lora_alpha: 16 } as const;
    const again = (modules_to_save: ('embed_tokens' | 'lm_head')[]) =>
      formOf({ ...pairsJob, tuning: { type: 'lora', ...lora, modules_to_save } });
    expect(again(['lm_head', 'embed_tokens'])).toMatchObject({ modules: 'both' });
    expect(again(['embed_tokens'])).toMatchObject({ modules: 'embed_tokens' });
    expect(again([])).toMatchObject({ modules: 'none' });
  });

  it('asks to end early with the evaluations that it counts, and takes both over', () => {
    const stopping = { eval_steps: 20, early_stopping_patience: 3 };
    expect(jobBody({ ...FORM, evaluationSteps: '20', patience: '3' })?.method).toEqual({
      ...{ type: 'supervised', supervised: { hyperparameters: stopping } },
    });
    const hyperparameters = { ...pairsJob.hyperparameters, evaluation_steps: 20, early_stopping_patience: 3 };
    expect(formOf({ ...pairsJob, hyperparameters })).toMatchObject({ evaluationSteps: '20', patience: '3' });
    expect(wrongFields({ ...FORM, patience: '0.5' })).toHaveProperty('patience');
  });

  it('names the fields that are no number or out of range, and makes no body of them', () => {
    const wrong = { ...FORM, epochs: 'many', batchSize: '2.5', learningRate: '0', mixFile: 'file-3', mixPercent: '' };
    expect(Object.keys(wrongFields(wrong)).sort()).toEqual(['batchSize', 'epochs', 'learningRate', 'mixPercent']);
    expect(jobBody(wrong)).toBeNull();
    expect(wrongFields({ ...FORM, mixPercent: 'x' })).toEqual({});
  });

  it('takes over a proposed change, whichever way its fields are spelled', () => {
    const changed = withChange(FORM, { 'hyperparameters.globalBatch': 4, cutoff_length: 256, 'tuning.r': 8, other: 1 });
    expect(changed).toEqual({ ...FORM, batchSize: '4', cutoffLength: '256', rank: '8' });
  });

  it('takes over what would fit in the cluster, and asks for it', () => {
    const changed = withChange(FORM, { 'resources.nodes': 2, 'resources.devices_per_node': 8 });
    expect(jobBody(changed)).toMatchObject({ resources: { nodes: 2, devices_per_node: 8 } });
    expect(jobBody({ ...FORM, devicesPerNode: '0' })).toMatchObject({ resources: { devices_per_node: 0 } });
    expect(jobBody({ ...FORM, deviceType: ' H100 ', queue: ' team-a ' })).toMatchObject({
      ...{ resources: { device_type: 'H100' }, queue: 'team-a' },
    });
    expect(jobBody({ ...FORM, nodes: '1.5' })).toBeNull();
  });
});

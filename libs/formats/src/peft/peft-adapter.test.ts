import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '../safetensors/write-safetensors.js';
import { loraTensorName, parseLoraTensorName } from './lora-names.js';
import {
  formatAdapterConfig,
  loraScale,
  openPeftAdapter,
  parseAdapterConfig,
  writePeftAdapter,
} from './peft-adapter.js';
import type { LoraConfig } from './peft-adapter.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'peft-'));
});
afterAll(async () => rm(dir, { recursive: true, force: true }));

const config: LoraConfig = {
  rank: 2,
  alpha: 4,
  dropout: 0.1,
  targetModules: ['q_proj', 'down_proj'],
  useRslora: false,
  baseModelNameOrPath: 'base',
};
const tensor = (name: string, shape: number[]) =>
  ({ name, dtype: 'F32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) }) as const;
const pair = (module: 'q_proj' | 'down_proj' | 'k_proj', rank = 2) => [
  tensor(loraTensorName(0, module, 'A'), [rank, 4]),
  tensor(loraTensorName(0, module, 'B'), [6, rank]),
];

describe('PEFT adapter', () => {
  it('reads what it writes, under the names PEFT uses', async () => {
    await writePeftAdapter(dir, config, [...pair('q_proj'), ...pair('down_proj')]);
    const adapter = await openPeftAdapter(dir);
    expect(adapter.config).toEqual(config);
    expect([...adapter.weights.tensors.keys()]).toContain(
      'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight',
    );
    expect([...adapter.weights.tensors.keys()]).toContain(
      'base_model.model.model.layers.0.mlp.down_proj.lora_B.weight',
    );
  });

  it('scales by alpha/r, or by alpha/sqrt(r) for rsLoRA', () => {
    expect(loraScale({ alpha: 16, rank: 4, useRslora: false })).toBe(4);
    expect(loraScale({ alpha: 16, rank: 4, useRslora: true })).toBe(8);
  });

  it('refuses weights that do not match the configuration', async () => {
    const write = async (tensors: Parameters<typeof writeSafetensors>[1]) =>
      writeSafetensors(join(dir, 'adapter_model.safetensors'), tensors);
    await write(pair('k_proj'));
    await expect(openPeftAdapter(dir)).rejects.toMatchObject({ code: 'format.malformed' });
    await write(pair('q_proj', 3));
    await expect(openPeftAdapter(dir)).rejects.toMatchObject({ code: 'format.malformed' });
    await write(pair('q_proj').slice(0, 1));
    await expect(openPeftAdapter(dir)).rejects.toMatchObject({ code: 'format.missing' });
    await write([tensor('base_model.model.lm_head.weight', [2, 2])]);
    await expect(openPeftAdapter(dir)).rejects.toMatchObject({ code: 'format.unsupported' });
  });

  it.each([
    ['DoRA', { use_dora: true }],
    ['biases', { bias: 'all' }],
    ['rank patterns', { rank_pattern: { q_proj: 4 } }],
    ['other modules that are trained whole', { modules_to_save: ['norm'] }],
    ['modules that are trained whole, where only A and B are understood', { modules_to_save: ['lm_head'] }],
    ['other methods', { peft_type: 'IA3' }],
    ['unknown targets', { target_modules: ['c_attn'] }],
    ['targets of another block', { target_modules: ['model.layers.0.mlp.q_proj'] }],
    ['adapters that changed their base', { init_lora_weights: 'pissa_niter_4' }],
    ['adapters that begin to count within a row', { alora_invocation_tokens: [5, 6] }],
  ])('refuses %s', (_what, change) => {
    expect(() => parseAdapterConfig({ ...formatAdapterConfig(config), ...change })).toThrow(
      expect.objectContaining({ code: 'format.unsupported' }),
    );
  });

  it('takes the modules of single layers by their whole names, as PEFT writes them for few layers', () => {
    const target_modules = [0, 1].flatMap((layer) =>
      ['self_attn.q_proj', 'mlp.down_proj'].map((module) => `model.layers.${layer}.${module}`),
    );
    expect(parseAdapterConfig({ ...formatAdapterConfig(config), target_modules })).toEqual(config);
  });

  it('says plainly that a reward model does not answer', () => {
    const change = { task_type: 'SEQ_CLS', modules_to_save: ['score'] };
    expect(() => parseAdapterConfig({ ...formatAdapterConfig(config), ...change })).toThrow(/points and no answers/);
  });

  it('does not take another tensor for a LoRA tensor', () => {
    expect(parseLoraTensorName('base_model.model.model.layers.0.mlp.q_proj.lora_A.weight')).toBeUndefined();
    expect(parseLoraTensorName(loraTensorName(12, 'up_proj', 'B'))).toEqual({
      layer: 12,
      module: 'up_proj',
      part: 'B',
    });
  });
});

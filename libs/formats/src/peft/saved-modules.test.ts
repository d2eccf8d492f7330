import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatModelConfig, parseModelConfig, readModelConfig } from '../huggingface/model-config.js';
import { modelTensors } from '../huggingface/model-tensors.js';
import { fromFloat32 } from '../safetensors/float.js';
import { openSafetensorsModel } from '../safetensors/safetensors-model.js';
import { writeSafetensors } from '../safetensors/write-safetensors.js';
import type { TensorToWrite } from '../safetensors/write-safetensors.js';
import { loraTensorName } from './lora-names.js';
import { mergePeftAdapter } from './merge-peft.js';
import { formatAdapterConfig, openPeftAdapter, writePeftAdapter } from './peft-adapter.js';
import { savedModuleTensor, withSavedModules } from './saved-modules.js';
import type { SavedModule, SavedModulesForm } from './saved-modules.js';

const CONFIG = parseModelConfig({
  ...{ model_type: 'llama', vocab_size: 3, hidden_size: 4, intermediate_size: 4, num_hidden_layers: 1 },
  ...{ num_attention_heads: 2, max_position_embeddings: 8, rms_norm_eps: 1e-5, rope_theta: 10_000 },
});
const LORA = { rank: 1, alpha: 1, dropout: 0, targetModules: ['q_proj' as const], useRslora: false };
const EMBEDDING = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';

const filled = (count: number, value: number): Float32Array => new Float32Array(count).fill(value);
const saved = (module: SavedModule, value: number, rows = CONFIG.vocabSize): TensorToWrite => ({
  ...{ name: savedModuleTensor(module), dtype: 'F32', shape: [rows, 4], data: filled(rows * 4, value) },
});
const pair: TensorToWrite[] = [
  { name: loraTensorName(0, 'q_proj', 'A'), dtype: 'F32', shape: [1, 4], data: filled(4, 0) },
  { name: loraTensorName(0, 'q_proj', 'B'), dtype: 'F32', shape: [4, 1], data: filled(4, 0) },
];

let root: string;
let adapterDir: string;
const roots: string[] = [];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'modules-'));
  roots.push(root);
  adapterDir = join(root, 'adapter');
});
afterAll(async () => Promise.all(roots.map(async (dir) => rm(dir, { recursive: true, force: true }))));

const write = async (form: SavedModulesForm, ...tensors: TensorToWrite[]): Promise<void> =>
  writePeftAdapter(adapterDir, { ...LORA, ...form, baseModelNameOrPath: null }, [...pair, ...tensors]);
const open = async () => openPeftAdapter(adapterDir, { beyondLora: true });

describe('an adapter with modules that were trained whole', () => {
  it('is read as it was written, and refused where only A and B are understood', async () => {
    const form = { modulesToSave: ['embed_tokens', 'lm_head'], ensureWeightTying: true } as const;
    await write(form, saved('embed_tokens', 1), saved('lm_head', 1));
    expect((await open()).config).toMatchObject(form);
    await expect(openPeftAdapter(adapterDir)).rejects.toMatchObject({ details: { field: 'modules_to_save' } });
  });

  it('has both matrices where PEFT named one and kept them tied', async () => {
    await write({ modulesToSave: ['embed_tokens', 'lm_head'] }, saved('embed_tokens', 1), saved('lm_head', 1));
    const written = formatAdapterConfig({ ...LORA, baseModelNameOrPath: null });
    const change = { modules_to_save: ['embed_tokens', 'model.embed_tokens'], ensure_weight_tying: true };
    await writeFile(join(adapterDir, 'adapter_config.json'), JSON.stringify({ ...written, ...change }));
    expect((await open()).config).toMatchObject({
      modulesToSave: ['embed_tokens', 'lm_head'],
      ensureWeightTying: true,
    });
  });

  it('is refused where a module has no tensor, and where a tensor has no module, with what to do', async () => {
    await write({ modulesToSave: ['lm_head'] });
    await expect(open()).rejects.toMatchObject({ details: { tensor: savedModuleTensor('lm_head') } });
    await write({ modulesToSave: ['embed_tokens'] }, saved('embed_tokens', 1));
    const plain = JSON.stringify(formatAdapterConfig({ ...LORA, baseModelNameOrPath: null }));
    await writeFile(join(adapterDir, 'adapter_config.json'), plain);
    await expect(open()).rejects.toThrow(
      /"base_model.model.model.embed_tokens.weight".*merge it into its base with PEFT/,
    );
  });

  it('ties no more what is tied in the base, except where it says so', () => {
    const tied = { ...CONFIG, tieWordEmbeddings: true };
    expect(withSavedModules(tied, { modulesToSave: ['lm_head'] }).tieWordEmbeddings).toBe(false);
    expect(withSavedModules(tied, { modulesToSave: ['lm_head'], ensureWeightTying: true }).tieWordEmbeddings).toBe(
      true,
    );
    expect(withSavedModules(tied, {}).tieWordEmbeddings).toBe(true);
  });
});

describe('merging modules that were trained whole', () => {
  const merge = async (tied: boolean, headStored = !tied) => {
    const [modelDir, outDir] = [join(root, 'model'), join(root, 'out')];
    await rm(modelDir, { recursive: true, force: true });
    const config = { ...CONFIG, tieWordEmbeddings: tied };
    const shapes = modelTensors({ ...CONFIG, tieWordEmbeddings: !headStored });
    const tensors = [...shapes].map(([name, shape]): TensorToWrite => {
      const values = filled(
        shape.reduce((a, b) => a * b, 1),
        name === HEAD && !tied ? 9 : 8,
      );
      return { name, dtype: 'BF16', shape, data: fromFloat32(values, 'BF16') };
    });
    await mkdir(modelDir);
    await writeSafetensors(join(modelDir, 'model.safetensors'), tensors);
    const text = JSON.stringify(formatModelConfig(config)).replace('"rope_theta":10000', '"rope_theta":10000.0');
    await writeFile(join(modelDir, 'config.json'), text);
    await mergePeftAdapter({ modelDir, adapterDir, outDir });
    const model = await openSafetensorsModel(outDir);
    const first = async (name: string) => (model.has(name) ? (await model.readFloat32(name))[0] : undefined);
    return {
      ...{ embedding: await first(EMBEDDING), head: await first(HEAD), dtype: model.get(EMBEDDING).dtype },
      tied: (await readModelConfig(outDir)).tieWordEmbeddings,
      text: await readFile(join(outDir, 'config.json'), 'utf8'),
    };
  };

  it('puts them in the place of an untied base’s, in its type', async () => {
    await write({ modulesToSave: ['embed_tokens', 'lm_head'] }, saved('embed_tokens', 1), saved('lm_head', 2));
    expect(await merge(false)).toMatchObject({ embedding: 1, head: 2, dtype: 'BF16', tied: false });
    await write({ modulesToSave: ['lm_head'] }, saved('lm_head', 2));
    expect(await merge(false)).toMatchObject({ embedding: 8, head: 2, tied: false });
  });

  it('leaves a tied base tied where both are one matrix', async () => {
    const form = { modulesToSave: ['embed_tokens', 'lm_head'], ensureWeightTying: true } as const;
    await write(form, saved('embed_tokens', 3), saved('lm_head', 3));
    expect(await merge(true)).toMatchObject({ embedding: 3, head: undefined, tied: true });
    expect(await merge(true, true)).toMatchObject({ embedding: 3, head: 3, tied: true });
    await write(form, saved('embed_tokens', 3), saved('lm_head', 4));
    await expect(merge(true)).rejects.toMatchObject({ details: { field: 'ensure_weight_tying' } });
  });

  it.each([
    ['embed_tokens', { embedding: 5, head: 8 }],
    ['lm_head', { embedding: 8, head: 5 }],
  ] as const)('unties a tied base where %s alone was trained, and says so in its settings', async (module, found) => {
    await write({ modulesToSave: [module] }, saved(module, 5));
    const merged = await merge(true);
    expect(merged).toMatchObject({ ...found, tied: false });
    expect(merged.text).toContain('10000.0'); // as it was written
  });

  it('refuses a vocabulary that was resized, with the tensor and what to do', async () => {
    await write({ modulesToSave: ['embed_tokens'] }, saved('embed_tokens', 1, 5));
    await expect(merge(false)).rejects.toThrow(/"base_model.model.model.embed_tokens.weight" is \[5, 4\].*with PEFT/);
  });
});

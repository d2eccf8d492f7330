import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromFloat32 } from '../safetensors/float.js';
import { openSafetensorsModel } from '../safetensors/safetensors-model.js';
import { writeSafetensors } from '../safetensors/write-safetensors.js';
import { loraTensorName, magnitudeNameOf } from './lora-names.js';
import { mergePeftAdapter } from './merge-peft.js';
import { openPeftAdapter, writePeftAdapter } from './peft-adapter.js';

const roots: string[] = [];
afterAll(async () => Promise.all(roots.map(async (root) => rm(root, { recursive: true, force: true }))));

const Q = 'model.layers.0.self_attn.q_proj.weight';
const K = 'model.layers.0.self_attn.k_proj.weight';
const floats = (...values: number[]): Float32Array => Float32Array.from(values);
let modelDir: string;
let adapterDir: string;
let outDir: string;

async function writeAdapter(a: Float32Array, b: Float32Array, magnitudes?: Float32Array): Promise<void> {
  const config = {
    rank: 2,
    alpha: 4,
    dropout: 0,
    targetModules: ['q_proj' as const],
    useRslora: false,
    ...(magnitudes && { useDora: true }),
    baseModelNameOrPath: null,
  };
  const nameA = loraTensorName(0, 'q_proj', 'A');
  const lengths = magnitudes && { name: magnitudeNameOf(nameA), shape: [magnitudes.length], data: magnitudes };
  await writePeftAdapter(adapterDir, config, [
    ...(lengths ? [{ ...lengths, dtype: 'F32' as const }] : []),
    { name: nameA, dtype: 'F32', shape: [2, a.length / 2], data: a },
    { name: loraTensorName(0, 'q_proj', 'B'), dtype: 'F32', shape: [b.length / 2, 2], data: b },
  ]);
}

beforeEach(async () => {
  const root = await mkdtemp(join(tmpdir(), 'merge-'));
  roots.push(root);
  modelDir = await mkdtemp(join(root, 'model-'));
  adapterDir = join(root, 'adapter');
  outDir = join(root, 'out');
  const bf16 = (name: string, ...values: number[]) =>
    ({ name, dtype: 'BF16', shape: [2, 3], data: fromFloat32(floats(...values), 'BF16') }) as const;
  await writeSafetensors(join(modelDir, 'model.safetensors'), [bf16(Q, 1, 1, 1, 2, 2, 2), bf16(K, 5, 5, 5, 5, 5, 5)]);
  await writeFile(join(modelDir, 'config.json'), '{"model_type":"llama"}');
  await writeFile(join(modelDir, 'model.py'), 'code');
});

describe('merging an adapter', () => {
  it('adds alpha/r times B·A to the adapted weights, in their type, and leaves the others', async () => {
    await writeAdapter(floats(1, 2, 3, 4, 5, 6), floats(1, 0, 0, 0.5));
    await mergePeftAdapter({ modelDir, adapterDir, outDir });
    const merged = await openSafetensorsModel(outDir);
    expect(merged.get(Q).dtype).toBe('BF16');
    // 2 · [[1, 0], [0, 0.5]] · [[1, 2, 3], [4, 5, 6]]
    expect([...(await merged.readFloat32(Q))]).toEqual([3, 5, 7, 6, 7, 8]);
    expect([...(await merged.readFloat32(K))]).toEqual([5, 5, 5, 5, 5, 5]);
  });

  it('gives the rows of an adapter with magnitudes (DoRA) their lengths', async () => {
    await writeAdapter(floats(1, 2, 3, 4, 5, 6), floats(1, 0, 0, 0.5), floats(Math.sqrt(83), 0));
    await mergePeftAdapter({ modelDir, adapterDir, outDir });
    const merged = await openSafetensorsModel(outDir);
    expect([...(await merged.readFloat32(Q))]).toEqual([3, 5, 7, 0, 0, 0]);
    await expect(openPeftAdapter(adapterDir)).rejects.toMatchObject({ details: { field: 'use_dora' } });
  });

  it('takes settings along and nothing else', async () => {
    await writeAdapter(floats(1, 2, 3, 4, 5, 6), floats(1, 0, 0, 1));
    await mergePeftAdapter({ modelDir, adapterDir, outDir });
    expect((await readdir(outDir)).sort()).toEqual(['config.json', 'model.safetensors']);
  });

  it('refuses an adapter of another model, and leaves no weights behind', async () => {
    await writeAdapter(floats(1, 2, 3, 4), floats(1, 0, 0, 1));
    await expect(mergePeftAdapter({ modelDir, adapterDir, outDir })).rejects.toMatchObject({
      code: 'format.malformed',
    });
    expect(await readdir(outDir)).not.toContain('model.safetensors');
  });
});

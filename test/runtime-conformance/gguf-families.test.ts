import { describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { ggufToHuggingFace, huggingFaceToGguf, mergePeftAdapter, peftToGguf, readModelConfig } from '@luthier/formats';
import { LogitReader } from '@luthier/llama-cpp';
import { logitsAfter, openEngine } from '@luthier/lm';
import { tempDir } from '@luthier/testing';
import { TINY_FAMILIES } from '../fixtures/tiny-families.js';
import { writeTinyAdapter, writeTinyChatModel } from '../fixtures/tiny-llama.js';

const TOKENS = Array.from({ length: 40 }, (_, i) => (i * 37 + 11) % 256);
/** llama.cpp keeps keys and values in half precision; logits of these models lie within 6. */
const ROUNDING = 0.03;

const largestDifference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0);

async function ofLlamaCpp(ggufPath: string): Promise<Float32Array> {
  const reader = await LogitReader.open(ggufPath);
  try {
    return Float32Array.from((await reader.logits(TOKENS)).flatMap((row) => [...row]));
  } finally {
    await reader.dispose();
  }
}

async function ofOurs(modelDir: string, adapterDir?: string): Promise<Float32Array> {
  const engine = await openEngine({ modelDir, ...(adapterDir !== undefined && { adapterDir }) });
  const logits = await logitsAfter(engine, TOKENS, adapterDir !== undefined);
  await engine.release();
  return logits;
}

describe.each(Object.entries(TINY_FAMILIES))('%s', (_name, change) => {
  it('gives the same logits through GGUF in llama.cpp as in our own engine, and comes back as it was', async () => {
    const dir = await tempDir('family');
    const [modelDir, ggufPath, back] = [join(dir, 'model'), join(dir, 'model.gguf'), join(dir, 'back')];
    const config = await writeTinyChatModel(modelDir, change);
    await huggingFaceToGguf({ modelDir, ggufPath, type: 'F32' });
    const ours = await ofOurs(modelDir);
    expect(ours.length).toBe(TOKENS.length * config.vocabSize);
    expect(largestDifference(ours, await ofLlamaCpp(ggufPath))).toBeLessThan(ROUNDING);
    await ggufToHuggingFace({ ggufPath, outDir: back });
    expect(largestDifference(ours, await ofOurs(back))).toBeLessThan(1e-4);
    // What llama.cpp does not know as a family of its own comes back as what it is computed as.
    if (config.modelType !== 'mistral') expect(await readModelConfig(back)).toEqual(await readModelConfig(modelDir));
  });

  it.each([
    ['a head that an adapter trained whole', ['lm_head'], undefined],
    ['embeddings and head that an adapter trained as one', ['embed_tokens', 'lm_head'], true],
  ] as const)('has %s merged, with the logits of the adapter beside its base', async (_what, modulesToSave, tied) => {
    const dir = await tempDir('family-modules');
    const [modelDir, adapterDir, outDir] = [join(dir, 'model'), join(dir, 'adapter'), join(dir, 'merged')];
    const config = await writeTinyChatModel(modelDir, { ...change, tieWordEmbeddings: true });
    await writeTinyAdapter(adapterDir, config, { modulesToSave, ensureWeightTying: tied });
    await expect(peftToGguf({ adapterDir, modelDir, ggufPath: join(dir, 'no.gguf') })).rejects.toMatchObject({
      details: { field: 'modules_to_save' },
    });
    await mergePeftAdapter({ modelDir, adapterDir, outDir });
    const ours = await ofOurs(modelDir, adapterDir);
    // Merging rounds to the base's BF16.
    expect(largestDifference(ours, await ofOurs(outDir))).toBeLessThan(0.15);
    const ggufPath = join(dir, 'merged.gguf');
    const converted = huggingFaceToGguf({ modelDir: outDir, ggufPath, type: 'F32' });
    if (!tied && config.modelType.startsWith('gemma')) {
      await expect(converted).rejects.toThrow(/output matrix of its own/);
      return;
    }
    await converted;
    expect(largestDifference(await ofOurs(outDir), await ofLlamaCpp(ggufPath))).toBeLessThan(ROUNDING);
  });

  it('has its adapter applied at the same places', async () => {
    const dir = await tempDir('family-adapter');
    const [modelDir, adapterDir] = [join(dir, 'model'), join(dir, 'adapter')];
    const config = await writeTinyChatModel(modelDir, change);
    await writeTinyAdapter(adapterDir, config);
    const [base, adapter] = [join(dir, 'base.gguf'), join(dir, 'adapter.gguf')];
    await huggingFaceToGguf({ modelDir, ggufPath: base, type: 'F32' });
    await peftToGguf({ adapterDir, modelDir, ggufPath: adapter });
    const reader = await LogitReader.open(base, { adapterPath: adapter });
    const theirs = Float32Array.from((await reader.logits(TOKENS)).flatMap((row) => [...row]));
    await reader.dispose();
    const ours = await ofOurs(modelDir, adapterDir);
    expect(largestDifference(ours, theirs)).toBeLessThan(ROUNDING);
    expect(largestDifference(ours, await ofOurs(modelDir))).toBeGreaterThan(ROUNDING * 10);
  });
});

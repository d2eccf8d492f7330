import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import {
  huggingFaceToGguf,
  openSafetensorsModel,
  openPeftAdapter,
  peftToGguf,
  readModelConfig,
} from '@luthier/formats';
import { LlamaEngine as LlamaCpp } from '@luthier/llama-cpp';
import { LoraAdapter, OnnxExecutor, TrainingEngine, greedyTokens, loadWeights, packRows } from '@luthier/lm';
import { tempDir } from '@luthier/testing';
import { encodePrompt, loadChatTemplate, loadTokenizer } from '@luthier/text';
import { writeTinyAdapter, writeTinyChatModel } from '../fixtures/tiny-llama.js';

/** Two sums in another order may differ by this much; closer logits have no order that both must agree on. */
const CLOSE_LOGITS = 0.05;
const NEW_TOKENS = 24;

let dir = '';
const prompts: number[][] = [];
const llama = new LlamaCpp({ threads: 1, sequences: 4, contextTokens: 8_192 });
const paths = () => ({ modelDir: join(dir, 'model'), adapterDir: join(dir, 'adapter') });

beforeAll(async () => {
  dir = await tempDir('parity');
  const { modelDir, adapterDir } = paths();
  const config = await writeTinyChatModel(modelDir, { tieWordEmbeddings: false });
  await writeTinyAdapter(adapterDir, config);
  await huggingFaceToGguf({ modelDir, ggufPath: join(dir, 'base.gguf') });
  await peftToGguf({ adapterDir, modelDir, ggufPath: join(dir, 'adapter.gguf') });
  const [tokenizer, template] = [await loadTokenizer(modelDir), await loadChatTemplate(modelDir)];
  const questions = ['hello', 'What is the port of the server?', '你好，世界', 'a', '12 + 30 = ?', 'x '.repeat(60)];
  for (const content of questions) {
    const messages = [{ role: 'user' as const, content }];
    prompts.push(Array.from(await encodePrompt({ messages, tokenizer, template })));
  }
  await template.close();
});
afterAll(async () => llama.dispose());

/** How much less likely our own engine holds `token` than `best` after `prefix`, as a difference of logits. */
async function gap(prefix: readonly number[], best: number, token: number, adapterDir?: string): Promise<number> {
  const { modelDir } = paths();
  const config = await readModelConfig(modelDir);
  const stored = await openPeftAdapter(adapterDir ?? paths().adapterDir);
  const { rank: r, alpha: loraAlpha, targetModules, useRslora } = stored.config;
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const { name, shape } of stored.weights.tensors.values())
    tensors.set(name, { shape, data: await stored.weights.readFloat32(name) });
  const adapter = LoraAdapter.restore(config, { r, loraAlpha, loraDropout: 0, targetModules, useRslora }, tensors);
  const weights = await loadWeights(await openSafetensorsModel(modelDir), config);
  const engine = new TrainingEngine({
    config,
    weights,
    parameters: adapter,
    memoryMode: 'layer-recompute',
    executor: new OnnxExecutor({ threads: 1 }),
  });
  const lossOf = async (next: number): Promise<number> => {
    const trained = new Uint8Array(prefix.length + 1);
    trained[prefix.length] = 1;
    const batch = packRows([{ tokens: Int32Array.from([...prefix, next]), trained }]);
    return (await engine.score(batch, adapterDir !== undefined)).losses[0] ?? Number.NaN;
  };
  const difference = (await lossOf(token)) - (await lossOf(best));
  await engine.release();
  return difference;
}

/** Follows llama.cpp's answer and checks every token against our own best one. Returns how many were too close to call. */
async function compare(prompt: readonly number[], answer: readonly number[], adapterDir?: string): Promise<number> {
  const { modelDir } = paths();
  let close = 0;
  for (let at = 0; at < answer.length;) {
    const prefix = [...prompt, ...answer.slice(0, at)];
    const own = await greedyTokens({
      modelDir,
      promptTokens: prefix,
      maxNewTokens: answer.length - at,
      ...(adapterDir !== undefined && { adapterDir }),
    });
    const differs = answer.findIndex((token, i) => i >= at && token !== own[i - at]);
    if (differs < 0) return close;
    const best = own[differs - at];
    const token = answer[differs];
    if (best === undefined || token === undefined) throw new Error('our own engine ended its answer earlier');
    const difference = await gap([...prompt, ...answer.slice(0, differs)], best, token, adapterDir);
    expect(difference).toBeLessThan(CLOSE_LOGITS);
    close += 1;
    at = differs + 1;
  }
  return close;
}

describe('greedy answers of llama.cpp over our GGUF files', () => {
  const sampling = { maxTokens: NEW_TOKENS, temperature: 0, topP: 1 };

  it.each([
    ['the base model', false],
    ['a LoRA adapter on it', true],
  ])('are those of our own forward pass: %s', async (_what, tuned) => {
    const basePath = join(dir, 'base.gguf');
    const model = tuned ? { basePath, adapterPath: join(dir, 'adapter.gguf') } : { basePath };
    const answers = await llama.generate(model, prompts, sampling);
    let [compared, close] = [0, 0];
    for (const [i, { tokens }] of answers.entries()) {
      close += await compare(prompts[i] ?? [], tokens, tuned ? paths().adapterDir : undefined);
      compared += tokens.length;
    }
    expect(compared).toBeGreaterThan(prompts.length * 4);
    expect(close).toBeLessThan(compared / 10); // else nothing would have been compared
  });

  it('differ between base and adapter, so that the adapter is known to be applied', async () => {
    const base = await llama.generate({ basePath: join(dir, 'base.gguf') }, prompts, sampling);
    const tuned = await llama.generate(
      { basePath: join(dir, 'base.gguf'), adapterPath: join(dir, 'adapter.gguf') },
      prompts,
      sampling,
    );
    expect(tuned).not.toEqual(base);
  });
});

import { expect, it } from '@jest/globals';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Method, ModelShape, RuntimeSpec } from '@luthier/contracts';
import { PreparedDatasetWriter, formatModelConfig } from '@luthier/formats';
import type { LlamaConfig, RowToStore } from '@luthier/formats';
import { estimateTorchMemory } from '@luthier/planner';
import { removeHome, tempDir } from '@luthier/testing';
import { trainSpec } from '../runtime-conformance/fixtures.js';
import { RuntimeProcess, eventsOfType } from '../runtime-conformance/runtime-process.js';
import { command, describeWithTorch } from './torch-environment.js';

const CONFIG: LlamaConfig = {
  ...{ architecture: 'LlamaForCausalLM', modelType: 'llama', vocabSize: 32_000, hiddenSize: 1024 },
  ...{ intermediateSize: 2816, layers: 12, attentionHeads: 16, keyValueHeads: 4, headDim: 64 },
  ...{ maxPositionEmbeddings: 4096, rmsNormEps: 1e-5, ropeTheta: 10_000, tieWordEmbeddings: true, eosTokenIds: [2] },
};
const LAYER = 1024 * 2 * (1024 + 256) + 3 * 1024 * 2816 + 2 * 1024;
const SHAPE: ModelShape = {
  ...{ architecture: 'LlamaForCausalLM', hiddenSize: 1024, intermediateSize: 2816, layers: 12, heads: 16, kvHeads: 4 },
  ...{ headDim: 64, vocabularySize: 32_000, tiedEmbeddings: true, contextLength: 4096 },
  ...{ parameters: 12 * LAYER + 32_000 * 1024 + 1024, weightBytes: 0 },
};
const SUPERVISED: Method = { type: 'supervised' };
const DPO: Method = { type: 'dpo', loss: 'sigmoid', beta: 0.1, labelSmoothing: 0 };
const REWARD: Method = { type: 'reward', centerRewardsCoefficient: 0.01 };
const HASH = 'a'.repeat(64);

const row = (length: number): RowToStore => {
  const trained = Uint8Array.from({ length }, (_, i) => (i > 1 ? 1 : 0));
  return { tokens: new Int32Array(length).fill(5), trained, promptLength: 2, sourceLine: 1, sourceFile: 0 };
};

/** One row of 700 tokens, or a pair of 700 and 800. */
async function writeData(dir: string, kind: 'sft' | 'preference'): Promise<void> {
  const options = { kind, cutoffLength: 1024, tokenizerSha256: HASH, templateSha256: HASH };
  const writer = await PreparedDatasetWriter.create(dir, options);
  writer.addSource({ fileId: 'file-aaaaaaaaaaaaaaaaaaaa', sha256: HASH, unit: 'line' });
  if (kind === 'sft') await writer.addRow(row(700));
  else await writer.addPair(row(700), row(800));
  await writer.finish();
}

describeWithTorch('the memory of a run on PyTorch', () => {
  it.each([
    { kind: 'sft', method: SUPERVISED, passTokens: 700, memoryMode: 'whole-step' },
    { kind: 'preference', method: DPO, passTokens: 1500, memoryMode: 'whole-step' },
    { kind: 'preference', method: DPO, passTokens: 1500, memoryMode: 'layer-recompute' },
    { kind: 'preference', method: REWARD, passTokens: 1500, memoryMode: 'whole-step' },
  ] as const)(
    'is planned for $method.type in the mode $memoryMode as the runtime itself does',
    async ({ kind, method, passTokens, memoryMode }) => {
      const root = await tempDir('memory-plan');
      const [modelDir, trainDir] = [join(root, 'model'), join(root, 'data')];
      await mkdir(modelDir);
      // The runtime refuses by its plan before it looks at any weight.
      await writeFile(join(modelDir, 'config.json'), JSON.stringify(formatModelConfig(CONFIG)));
      await writeData(trainDir, kind);
      const asked = trainSpec({ modelDir, trainDir, heldOutDir: trainDir, outputDir: join(root, 'out') });
      const limits = { ...asked.limits, memoryMib: 1 };
      const spec: RuntimeSpec = { ...asked, method, memoryMode, limits };
      const { code } = await (await RuntimeProcess.startSpec(command, spec)).ended;
      const message = (await eventsOfType(spec.outputDir, 'failed'))[0]?.message ?? '';
      await removeHome(root);
      const question = { shape: SHAPE, method: method.type, tuning: spec.tuning, passTokens, memoryMode };
      const { components } = estimateTorchMemory(question);
      const planned = components.map(({ name, mib }) => `${name} ${mib.toFixed(0)}`).join(', ');
      expect({ code, message }).toEqual({ code: 42, message: expect.stringContaining(`(${planned})`) });
    },
    60_000,
  );
});

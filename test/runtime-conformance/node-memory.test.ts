import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { trainResult } from '@luthier/contracts';
import type { ModuleToSave, RuntimeSpec } from '@luthier/contracts';
import { LLAMA_BLOCKS } from '@luthier/formats';
import type { ModelConfig } from '@luthier/formats';
import { estimateNodeMemory, nodeTuning, trainableParameters, wholeMatrices } from '@luthier/planner';
import { removeHome, tempDir } from '@luthier/testing';
import { trainSpec, writeTinyData, writeTinyModel } from './fixtures.js';
import { RuntimeProcess, eventsOfType } from './runtime-process.js';

const command = [process.execPath, join(import.meta.dirname, '../../services/runtime-node/dist/main.js')];
const TIMEOUT_MS = 240_000;

/** 27 million weights. */
const CONFIG: ModelConfig = {
  ...LLAMA_BLOCKS,
  architecture: 'LlamaForCausalLM',
  modelType: 'llama',
  vocabSize: 16_384,
  hiddenSize: 384,
  intermediateSize: 1024,
  layers: 12,
  attentionHeads: 6,
  keyValueHeads: 6,
  headDim: 64,
  maxPositionEmbeddings: 256,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  tieWordEmbeddings: true,
  eosTokenIds: [2],
};
const SHAPE = {
  ...CONFIG,
  heads: CONFIG.attentionHeads,
  kvHeads: CONFIG.keyValueHeads,
  vocabularySize: CONFIG.vocabSize,
  tiedEmbeddings: true,
  parameters: 27_535_488,
  contextLength: 256,
  weightBytes: 2 * 27_535_488,
};
const LORA = {
  type: 'lora',
  r: 16,
  loraAlpha: 32,
  loraDropout: 0,
  targetModules: 'all-linear',
  useRslora: false,
} as const;

const TUNINGS = {
  lora: LORA,
  full: { type: 'full' },
  freeze: { type: 'freeze', trainableLayers: 4 },
  modules: { ...LORA, modulesToSave: ['embed_tokens', 'lm_head'] as ModuleToSave[] },
} as const;

describe('memory of runtime-node', () => {
  let root = '';
  beforeAll(async () => {
    root = await tempDir('node-memory');
    await writeTinyModel(join(root, 'model'), CONFIG);
    await writeTinyData(join(root, 'train'), 48, 1, CONFIG.vocabSize);
  }, TIMEOUT_MS);
  afterAll(() => removeHome(root));

  it.each([
    ['lora', 'whole-step', 'adamw'],
    ['lora', 'layer-recompute', 'adamw'],
    ['full', 'whole-step', 'adamw'],
    ['full', 'layer-recompute', 'adamw'],
    ['full', 'layer-recompute', 'adamw8bit'],
    ['full', 'layer-recompute', 'adafactor'],
    ['freeze', 'whole-step', 'adamw'],
    ['modules', 'whole-step', 'adamw'],
    ['modules', 'layer-recompute', 'adamw'],
  ] as const)(
    'is what was planned, or up to a quarter less: %s, %s, %s',
    async (kind, memoryMode, optimizer) => {
      const tuning = TUNINGS[kind];
      const outputDir = join(root, `${kind}-${memoryMode}-${optimizer}`);
      const folders = { modelDir: join(root, 'model'), trainDir: join(root, 'train'), heldOutDir: '-', outputDir };
      const plain = trainSpec(folders);
      const spec: RuntimeSpec = {
        ...plain,
        tuning,
        memoryMode,
        hyperparameters: { ...plain.hyperparameters, globalBatch: 16, epochs: 1, learningRate: 1e-4, optimizer },
        checkpointing: { everySteps: 100, keepLast: 1 },
        limits: { ...plain.limits, memoryMib: 4096 },
        data: { trainDir: join(root, 'train') },
      };
      const { code, log } = await (await RuntimeProcess.startSpec(command, spec)).ended;
      expect({ code, log }).toEqual({ code: 0, log: '' });
      const { peakMemoryMib } = trainResult.parse((await eventsOfType(outputDir, 'result'))[0]?.result);
      const { totalMib } = estimateNodeMemory({
        ...SHAPE,
        keyValueHeads: CONFIG.keyValueHeads,
        trainedParameters: trainableParameters(SHAPE, tuning),
        wholeMatrices: wholeMatrices(SHAPE, tuning),
        ...nodeTuning(spec),
        microBatchTokens: 256,
        microBatchTrained: 256,
        memoryMode,
        engine: process.env['LUTHIER_NODE_ENGINE'] === 'tensorflow' ? 'tensorflow' : 'onnx',
      });
      expect(totalMib / peakMemoryMib).toBeGreaterThan(1);
      expect(totalMib / peakMemoryMib).toBeLessThan(4 / 3);
    },
    TIMEOUT_MS,
  );
});

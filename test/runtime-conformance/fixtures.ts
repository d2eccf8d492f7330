import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RandomStream } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import {
  LLAMA_BLOCKS,
  PreparedDatasetWriter,
  formatModelConfig,
  fromFloat32,
  modelTensors,
  writeSafetensors,
} from '@luthier/formats';
import type { ModelConfig, RowToStore, StoredKind } from '@luthier/formats';

const TINY: ModelConfig = {
  ...LLAMA_BLOCKS,
  architecture: 'LlamaForCausalLM',
  modelType: 'llama',
  vocabSize: 96,
  hiddenSize: 32,
  intermediateSize: 48,
  layers: 2,
  attentionHeads: 4,
  keyValueHeads: 2,
  headDim: 8,
  maxPositionEmbeddings: 256,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  tieWordEmbeddings: true,
  eosTokenIds: [2],
};

/** A random model in a Hugging Face folder: the same bytes for the same seed. */
export async function writeTinyModel(dir: string, config: ModelConfig = TINY, seed = 1): Promise<void> {
  await mkdir(dir, { recursive: true });
  const tensors = [...modelTensors(config)].map(([name, shape]) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const uniform = new RandomStream(seed, name).uniform(count);
    const values = shape.length === 1 ? uniform.map((u) => 0.9 + 0.2 * u) : uniform.map((u) => (u - 0.5) * 0.4);
    return { name, dtype: 'BF16' as const, shape, data: fromFloat32(values, 'BF16') };
  });
  await writeSafetensors(join(dir, 'model.safetensors'), tensors, { format: 'pt' });
  await writeFile(join(dir, 'config.json'), JSON.stringify(formatModelConfig(config)));
}

const HASH = 'a'.repeat(64);
const PROMPT_TOKENS = 3;

async function tinyWriter(dir: string, kind: StoredKind): Promise<PreparedDatasetWriter> {
  const options = { kind, cutoffLength: 64, tokenizerSha256: HASH, templateSha256: HASH };
  const writer = await PreparedDatasetWriter.create(dir, options);
  writer.addSource({ fileId: 'file-aaaaaaaaaaaaaaaaaaaa', sha256: HASH, unit: 'line' });
  return writer;
}

/** A row of the first source that counts by `stride` once its prompt, which counts by one, is over. */
function countingRow(seed: number, row: number, vocabulary: number, stride = 1): RowToStore {
  const [first, second] = new RandomStream(seed, 'rows').pair(row);
  const length = 6 + ((second + stride - 1) % 20);
  const token = (i: number): number => (first + i + Math.max(0, i - PROMPT_TOKENS) * (stride - 1)) % vocabulary;
  const tokens = Int32Array.from({ length }, (_, i) => token(i));
  const trained = Uint8Array.from({ length }, (_, i) => (i >= PROMPT_TOKENS ? 1 : 0));
  return { tokens, trained, promptLength: PROMPT_TOKENS, sourceLine: row + 1, sourceFile: 0 };
}

/** Rows that count upwards from a random start: easy to learn. Lengths vary. */
export async function writeTinyData(dir: string, rows: number, seed = 1, vocabulary = TINY.vocabSize): Promise<void> {
  const writer = await tinyWriter(dir, 'sft');
  for (let row = 0; row < rows; row += 1) await writer.addRow(countingRow(seed, row, vocabulary));
  await writer.finish();
}

/** Pairs of which the chosen row counts by one and the rejected one by five. */
export async function writeTinyPairs(dir: string, pairs: number, seed = 1): Promise<void> {
  const writer = await tinyWriter(dir, 'preference');
  for (let pair = 0; pair < pairs; pair += 1)
    await writer.addPair(countingRow(seed, pair, TINY.vocabSize), countingRow(seed, pair, TINY.vocabSize, 5));
  await writer.finish();
}

/** Every other row counts by five and is one to leave. */
export async function writeTinyRatedData(dir: string, rows: number, seed = 1): Promise<void> {
  const writer = await tinyWriter(dir, 'kto');
  for (let row = 0; row < rows; row += 1) {
    const label = row % 2 === 0 ? 1 : 0;
    await writer.addRow({ ...countingRow(seed, row, TINY.vocabSize, label === 1 ? 1 : 5), label });
  }
  await writer.finish();
}

/** A valid train spec over the given folders. */
export function trainSpec(folders: {
  modelDir: string;
  trainDir: string;
  heldOutDir: string;
  outputDir: string;
}): RuntimeSpec {
  return {
    version: 1,
    runId: 'run-aaaaaaaaaaaaaaaaaaaa',
    attempt: 1,
    incarnation: 1,
    mode: 'train',
    method: { type: 'supervised' },
    tuning: { type: 'lora', r: 4, loraAlpha: 8, loraDropout: 0, targetModules: 'all-linear', useRslora: false },
    hyperparameters: {
      epochs: 2,
      maxSteps: null,
      globalBatch: 5,
      learningRate: 0.01,
      schedule: 'cosine',
      warmupRatio: 0.1,
      weightDecay: 0.01,
      adamBeta1: 0.9,
      adamBeta2: 0.999,
      adamEpsilon: 1e-8,
      maxGradNorm: 1,
      evaluationSteps: 4,
    },
    parallelism: { nodes: 1, devicesPerNode: 0 },
    checkpointing: { everySteps: 3, keepLast: 2 },
    limits: { memoryMib: 1024, cpu: 1, deadlineSeconds: 600 },
    seed: 42,
    modelDir: folders.modelDir,
    data: { trainDir: folders.trainDir, heldOutDir: folders.heldOutDir },
    outputDir: folders.outputDir,
  };
}

/** Its larger matrices have enough numbers to be kept in 8 bits, and rows that end within a block. */
export const WIDE: ModelConfig = { ...TINY, hiddenSize: 64, intermediateSize: 272, headDim: 16 };

/** The tiny model, tied and untied, the wide one, and training and held-out data of each kind: `rows-train`, `pairs-held-out`, `rated-train`, ... */
export async function writeTinyKinds(root: string): Promise<void> {
  await writeTinyModel(join(root, 'model'));
  await writeTinyModel(join(root, 'wide-model'), WIDE);
  await writeTinyModel(join(root, 'untied'), { ...TINY, tieWordEmbeddings: false });
  for (const [name, count, seed] of [
    ['train', 21, 1],
    ['held-out', 6, 2],
  ] as const) {
    await writeTinyData(join(root, `rows-${name}`), count, seed);
    await writeTinyPairs(join(root, `pairs-${name}`), count, seed);
    await writeTinyRatedData(join(root, `rated-${name}`), count, seed);
  }
}

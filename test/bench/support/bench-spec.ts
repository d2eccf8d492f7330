import { cp, readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { RuntimeSpec } from '@luthier/contracts';
import { trainSpec } from '../../runtime-conformance/fixtures.js';

export type Precision = 'float32' | 'bfloat16';

/** Instructions of x86 and Arm; without them a product in bfloat16 takes ten to a hundred times as long. */
const BFLOAT16_FLAGS = /\b(avx512_bf16|amx_bf16|bf16)\b/;

export async function fastestPrecision(): Promise<Precision> {
  return BFLOAT16_FLAGS.test(await readFile('/proc/cpuinfo', 'utf8')) ? 'bfloat16' : 'float32';
}

/** The model with a configuration that names this precision, which LLaMA-Factory takes; as imported it is bfloat16. */
export async function modelIn(modelDir: string, precision: Precision): Promise<string> {
  if (precision === 'bfloat16') return modelDir;
  const copy = `${modelDir}-${precision}`;
  await cp(modelDir, copy, { recursive: true });
  const config = JSON.parse(await readFile(join(copy, 'config.json'), 'utf8')) as object;
  await writeFile(join(copy, 'config.json'), JSON.stringify({ ...config, torch_dtype: precision }));
  return copy;
}

/** LoRA of rank 8 on all linear layers, one epoch, 8 rows to a step. */
export function specOf(root: string, modelDir: string, trainDir: string, precision: Precision): RuntimeSpec {
  const spec = trainSpec({ modelDir, trainDir, heldOutDir: trainDir, outputDir: join(root, 'luthier') });
  return {
    ...spec,
    precision,
    tuning: { type: 'lora', r: 8, loraAlpha: 16, loraDropout: 0, targetModules: 'all-linear', useRslora: false },
    hyperparameters: {
      ...spec.hyperparameters,
      ...{ epochs: 1, globalBatch: 8, learningRate: 1e-4, warmupRatio: 0, weightDecay: 0, evaluationSteps: null },
    },
    checkpointing: { everySteps: 1_000_000, keepLast: 1 },
    limits: { memoryMib: 16_384, cpu: cpus().length, deadlineSeconds: 3_600 },
    data: { trainDir },
  };
}

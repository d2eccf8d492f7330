import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from '../format-error.js';
import { fromFloat32, isFloat } from '../safetensors/float.js';
import type { SafetensorsFile } from '../safetensors/read-safetensors.js';
import { openSafetensorsModel } from '../safetensors/safetensors-model.js';
import type { ModelTensor, SafetensorsModel } from '../safetensors/safetensors-model.js';
import { writeSafetensors } from '../safetensors/write-safetensors.js';
import type { TensorToWrite, WrittenFile } from '../safetensors/write-safetensors.js';
import { LORA_MODULES, magnitudeNameOf, parseLoraTensorName } from './lora-names.js';
import { mergedModules, untieConfig } from './merge-saved-modules.js';
import { loraScale, openPeftAdapter } from './peft-adapter.js';
import type { LoraConfig } from './peft-adapter.js';

export interface MergePeftOptions {
  /** Hugging Face folder of the base model. */
  readonly modelDir: string;
  readonly adapterDir: string;
  /** Becomes a Hugging Face folder of its own: one `model.safetensors`, settings and tokenizer of the base. */
  readonly outDir: string;
  readonly fsync?: boolean;
}

/** Settings beside the weights; the index of shards is not true of the one file any more. */
const SETTINGS = /^(?!\.)(?!.*\.index\.json$)[\w.-]+\.(json|jinja)$/;

/** The base's name of the weight that a LoRA A tensor adapts. */
function baseName(loraName: string): string | undefined {
  const parsed = parseLoraTensorName(loraName);
  if (parsed?.part !== 'A') return undefined;
  return `model.layers.${parsed.layer}.${LORA_MODULES[parsed.module]}.${parsed.module}.weight`;
}

/** Adds `scale · B·A` to row-major `weight` [rows, columns]; `b` is [rows, rank], `a` is [rank, columns]. */
function addProduct(weight: Float32Array, b: Float32Array, a: Float32Array, rank: number, scale: number): void {
  const columns = a.length / rank;
  const rows = b.length / rank;
  // One row in double precision: the sum over the rank is rounded once.
  const sums = new Float64Array(columns);
  for (let row = 0; row < rows; row += 1) {
    sums.fill(0);
    for (let k = 0; k < rank; k += 1) {
      const factor = scale * (b[row * rank + k] ?? 0);
      for (let column = 0; column < columns; column += 1)
        sums[column] = (sums[column] ?? 0) + factor * (a[k * columns + column] ?? 0);
    }
    const first = row * columns;
    for (let column = 0; column < columns; column += 1)
      weight[first + column] = (weight[first + column] ?? 0) + (sums[column] ?? 0);
  }
}

/** DoRA: gives each row of `weight` the length that is its magnitude. */
function scaleRows(weight: Float32Array, magnitudes: Float32Array): void {
  const columns = weight.length / magnitudes.length;
  magnitudes.forEach((magnitude, row) => {
    const values = weight.subarray(row * columns, (row + 1) * columns);
    const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    for (let column = 0; column < columns; column += 1) values[column] = ((values[column] ?? 0) * magnitude) / length;
  });
}

async function mergedBytes(
  model: SafetensorsModel,
  tensor: ModelTensor,
  lora: { readonly weights: SafetensorsFile; readonly name: string; readonly config: LoraConfig },
): Promise<Uint8Array> {
  const { dtype, name, shape } = tensor;
  if (!isFloat(dtype))
    throw new FormatError('format.unsupported', `"${name}" is ${dtype}; adapters are merged into floats only.`, {
      tensor: name,
    });
  const nameB = lora.name.replace('.lora_A.', '.lora_B.');
  const columns = lora.weights.get(lora.name).shape[1];
  const rows = lora.weights.get(nameB).shape[0];
  if (shape.length !== 2 || shape[0] !== rows || shape[1] !== columns)
    throw new FormatError('format.malformed', `The adapter's matrices do not fit "${name}" [${shape.join(', ')}].`, {
      tensor: name,
    });
  const weight = await model.readFloat32(name);
  const a = await lora.weights.readFloat32(lora.name);
  const b = await lora.weights.readFloat32(nameB);
  addProduct(weight, b, a, lora.config.rank, loraScale(lora.config));
  if (lora.config.useDora) {
    const magnitudes = magnitudeNameOf(lora.name);
    if (lora.weights.get(magnitudes).shape.join() !== String(rows))
      throw new FormatError('format.malformed', `"${magnitudes}" does not have ${rows} numbers.`, {
        tensor: magnitudes,
      });
    scaleRows(weight, await lora.weights.readFloat32(magnitudes));
  }
  return fromFloat32(weight, dtype);
}

/**
 * Merges a LoRA adapter into its base: `W + scale · B·A`, of DoRA with rows as long as its magnitudes, rounded once to
 * the type of `W`. Modules that were trained whole take the place of the base's. One tensor is in memory at a
 * time. Files of `outDir` with the same names are replaced.
 * @throws FormatError when the adapter does not belong to the model.
 */
export async function mergePeftAdapter(options: MergePeftOptions): Promise<WrittenFile> {
  const { modelDir, adapterDir, outDir } = options;
  const model = await openSafetensorsModel(modelDir);
  const adapter = await openPeftAdapter(adapterDir, { beyondLora: true });
  const { config, weights } = adapter;
  const modules = await mergedModules(modelDir, model, adapter);
  const adapted = new Map<string, string>();
  for (const loraName of weights.tensors.keys()) {
    const name = baseName(loraName);
    if (name !== undefined) adapted.set(model.get(name).name, loraName);
  }
  const kept = [...model.tensors.values()].filter(({ name }) => !modules.tensors.has(name));
  const tensors = kept.map((tensor): TensorToWrite => {
    const { name, dtype, shape } = tensor;
    const loraName = adapted.get(name);
    if (loraName === undefined) return { name, dtype, shape, data: async () => [await model.read(name)] };
    const lora = { weights, name: loraName, config };
    return { name, dtype, shape, data: async () => [await mergedBytes(model, tensor, lora)] };
  });
  await mkdir(outDir, { recursive: true });
  for (const name of (await readdir(modelDir)).filter((entry) => SETTINGS.test(entry)))
    await copyFile(join(modelDir, name), join(outDir, name));
  if (modules.untied) await untieConfig(outDir);
  const all = [...tensors, ...modules.tensors.values()];
  return writeSafetensors(join(outDir, 'model.safetensors'), all, { format: 'pt' }, { fsync: options.fsync ?? false });
}

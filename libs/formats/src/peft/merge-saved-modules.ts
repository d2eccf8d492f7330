import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from '../format-error.js';
import { readModelConfig } from '../huggingface/model-config.js';
import { fromFloat32, isFloat } from '../safetensors/float.js';
import type { SafetensorsModel } from '../safetensors/safetensors-model.js';
import type { TensorToWrite } from '../safetensors/write-safetensors.js';
import type { PeftAdapter } from './peft-adapter.js';
import { SAVED_MODULES, checkSavedShape, savedModuleTensor } from './saved-modules.js';
import type { SavedModule } from './saved-modules.js';

/** What takes the place of the base's embeddings and head. */
export interface MergedModules {
  /** By name; those that the base has under the name, too, go. */
  readonly tensors: ReadonlyMap<string, TensorToWrite>;
  /** Whether embeddings and head were one matrix and are two from now on. */
  readonly untied: boolean;
}

/**
 * The modules that an adapter was trained with, in the type of the base's weight. Embeddings and head of a tied base stay
 * one matrix where they are equal, and become two where they differ. Throws FormatError when they do not fit the base.
 */
export async function mergedModules(
  modelDir: string,
  model: SafetensorsModel,
  adapter: PeftAdapter,
): Promise<MergedModules> {
  const { modulesToSave = [], ensureWeightTying } = adapter.config;
  if (modulesToSave.length === 0) return { tensors: new Map(), untied: false };
  const config = await readModelConfig(modelDir);
  for (const module of modulesToSave)
    checkSavedShape(module, adapter.weights.get(savedModuleTensor(module)).shape, config);
  const modules = config.tieWordEmbeddings ? (['embed_tokens', 'lm_head'] as const) : modulesToSave;
  const made = modules.map((module): TensorToWrite => {
    const weight = config.tieWordEmbeddings ? SAVED_MODULES.embed_tokens : SAVED_MODULES[module];
    const { dtype, shape } = model.get(weight);
    const isTrained = modulesToSave.includes(module);
    const data = async () => [isTrained ? await trained(adapter, module, dtype) : await model.read(weight)];
    return { name: SAVED_MODULES[module], dtype, shape, data };
  });
  const tensors = new Map(made.map((tensor) => [tensor.name, tensor]));
  if (!config.tieWordEmbeddings) return { tensors, untied: false };
  if (!(await areEqual(made))) {
    if (!ensureWeightTying) return { tensors, untied: true };
    const message = `adapter_config.json: ensure_weight_tying says that "${savedModuleTensor('embed_tokens')}" and "${savedModuleTensor('lm_head')}" are one matrix, but they differ.`;
    throw new FormatError('format.malformed', message, { field: 'ensure_weight_tying' });
  }
  // Some checkpoints store the head although it is tied; it goes along then, so that both are the same.
  if (!model.has(SAVED_MODULES.lm_head)) tensors.delete(SAVED_MODULES.lm_head);
  return { tensors, untied: false };
}

async function trained({ weights }: PeftAdapter, module: SavedModule, dtype: string): Promise<Uint8Array> {
  if (isFloat(dtype)) return fromFloat32(await weights.readFloat32(savedModuleTensor(module)), dtype);
  const tensor = SAVED_MODULES[module];
  throw new FormatError('format.unsupported', `"${tensor}" is ${dtype}; adapters are merged into floats only.`, {
    tensor,
  });
}

async function areEqual(tensors: readonly TensorToWrite[]): Promise<boolean> {
  const [first, second] = await Promise.all(
    tensors.map(async ({ data }) => (typeof data === 'function' ? [...((await data()) as Iterable<Uint8Array>)] : [])),
  );
  return first !== undefined && second !== undefined && Buffer.concat(first).equals(Buffer.concat(second));
}

/** Of ECMAScript's "JSON.parse source text access"; TypeScript's library does not have it yet. */
const json = JSON as unknown as {
  rawJSON(text: string): unknown;
  parse(text: string, reviver: (name: string, value: unknown, context: { source?: string }) => unknown): unknown;
};

/** Says in the `config.json` of a merged model that embeddings and head are two matrices. */
export async function untieConfig(dir: string): Promise<void> {
  const path = join(dir, 'config.json');
  // Numbers stay as they are written: transformers takes 1.0 and 1 for different things.
  const config = json.parse(await readFile(path, 'utf8'), (_name, value, { source = '' }) =>
    typeof value === 'number' ? json.rawJSON(source) : value,
  ) as Record<string, unknown>;
  await writeFile(path, `${JSON.stringify({ ...config, tie_word_embeddings: false }, null, 2)}\n`);
}

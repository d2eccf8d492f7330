import { copyFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, contradictionOfModules } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import { openPeftAdapter, parseSavedModuleTensor, writePeftAdapter, writeSafetensors } from '@luthier/formats';
import type { LoraConfig, ModelConfig } from '@luthier/formats';
import { LoraAdapter, TrainedWeights, giveBack, targetedModules, trainedWeightCount, untieWeights } from '@luthier/lm';
import type { EngineOptions, LoraSettings, Weights } from '@luthier/lm';
import { blaming } from '../control/fault.js';
import { openWeights } from '../inputs/open-inputs.js';

const WEIGHTS_FILE = 'model.safetensors';

/** What of a model is trained, and how it is stored. */
export interface Tuned {
  readonly parameters: EngineOptions['parameters'];
  readonly weights: Weights;
  /** Of the result, relative to the output folder. */
  readonly artifactDir: 'adapter' | 'model';
  /** Writes all that is needed to use the result. */
  write(dir: string): Promise<void>;
}

/** Known before any weight is read: what is trained, for the memory plan. */
export interface TuningOutline {
  readonly trainedParameters: number;
  /** Of embeddings and output weights, how many matrices are trained whole beside an adapter. */
  readonly wholeMatrices: number;
  /** Of the model with what is trained on it. */
  readonly config: ModelConfig;
  /** Loads the model and puts on it what is trained. */
  open(): Promise<Tuned>;
}

/**
 * What the spec has trained, from its beginning, from `adapterDir`, or from the checkpoint of `resumeFrom`. Throws
 * `config.bad` for settings that do not fit the model.
 */
export async function outlineTuning(spec: RuntimeSpec, config: ModelConfig): Promise<TuningOutline> {
  const { tuning } = spec;
  switch (tuning.type) {
    case 'lora':
    case 'qlora':
      return adapterOutline(spec, config, tuning);
    case 'full':
      return weightsOutline(spec, config, undefined);
    case 'freeze':
      return weightsOutline(spec, config, tuning.trainableLayers);
  }
}

/** A model that is only scored, with the adapter of `adapterDir` where there is one. */
export async function outlineScoring(spec: RuntimeSpec, config: ModelConfig): Promise<TuningOutline> {
  if (spec.adapterDir !== undefined) return outlineOf(spec, config, await readAdapter(spec.adapterDir, config));
  const open = async (): Promise<Tuned> => takeWeights(spec, config, spec.modelDir, 0);
  return { trainedParameters: 0, wholeMatrices: 0, config, open };
}

async function adapterOutline(spec: RuntimeSpec, config: ModelConfig, settings: LoraSettings): Promise<TuningOutline> {
  await blaming('config.bad', () => Promise.resolve(targetedModules(settings)));
  const stored = spec.resumeFrom ?? spec.adapterDir;
  if (stored !== undefined) return outlineOf(spec, config, await readAdapter(stored, config));
  refuseHalves(spec, config);
  // Unlike PEFT's default: docs/adr/0051-embeddings-and-head-beside-an-adapter.md.
  const form = { ...settings, ensureWeightTying: config.tieWordEmbeddings };
  const adapter = LoraAdapter.create(config, form, spec.seed);
  return outlineOf(spec, config, adapter, (weights) => {
    adapter.startFromWeights(weights);
  });
}

/** Of what is one matrix, both names have to be there. */
function refuseHalves({ method, tuning }: RuntimeSpec, config: ModelConfig): void {
  if (tuning.type !== 'lora' && tuning.type !== 'qlora') return;
  const found = contradictionOfModules(method.type, tuning, { tiedEmbeddings: config.tieWordEmbeddings });
  if (found) throw new AppError('config.bad', `${found.field}: ${found.message} ${found.hint}`, { param: found.field });
}

function outlineOf(
  spec: RuntimeSpec,
  config: ModelConfig,
  adapter: LoraAdapter,
  start: (weights: Weights) => void = () => undefined,
): TuningOutline {
  const open = async (): Promise<Tuned> => {
    const weights = await openWeights(spec.modelDir, config, { bits: spec.tuning.type === 'qlora' ? 8 : 32 });
    untieWeights(weights, adapter.config);
    start(weights);
    return { parameters: adapter, weights, artifactDir: 'adapter', write: (dir) => writeAdapter(dir, adapter) };
  };
  const wholeMatrices = adapter.tensors.filter(({ name }) => parseSavedModuleTensor(name)).length;
  return { trainedParameters: adapter.values.length, wholeMatrices, config: adapter.config, open };
}

function weightsOutline(spec: RuntimeSpec, config: ModelConfig, topmostLayers: number | undefined): TuningOutline {
  if (topmostLayers !== undefined && topmostLayers > config.layers) {
    const message = `tuning.trainableLayers: the model has ${config.layers} layers.`;
    throw new AppError('config.bad', message, { param: 'tuning.trainableLayers' });
  }
  const open = async (): Promise<Tuned> => takeWeights(spec, config, spec.resumeFrom ?? spec.modelDir, topmostLayers);
  const trainedParameters = trainedWeightCount(config, topmostLayers);
  return { trainedParameters, wholeMatrices: 0, config, open };
}

async function takeWeights(
  spec: RuntimeSpec,
  config: ModelConfig,
  weightsDir: string,
  topmostLayers: number | undefined,
): Promise<Tuned> {
  const weights = await openWeights(weightsDir, config);
  const read = [...weights.values()];
  const parameters = TrainedWeights.take(config, weights, topmostLayers);
  const kept = new Set(weights.values());
  for (const tensor of read) if (!kept.has(tensor)) giveBack(tensor.data);
  const write = (dir: string): Promise<void> => writeModel(dir, weights, spec.modelDir);
  return { parameters, weights, artifactDir: 'model', write };
}

/** A whole model in float32, those of its weights included that are not trained, with tokenizer and settings. */
async function writeModel(dir: string, weights: Weights, modelDir: string): Promise<void> {
  const tensors = [...weights].map(([name, { data, dims }]) => ({ name, dtype: 'F32' as const, shape: dims, data }));
  await writeSafetensors(join(dir, WEIGHTS_FILE), tensors, { format: 'pt' }, { fsync: true });
  for (const name of await readdir(modelDir)) {
    // An index is of shards that are one file now.
    const wanted = (name.endsWith('.json') && !name.endsWith('.index.json')) || name.endsWith('.jinja');
    if (wanted) await copyFile(join(modelDir, name), join(dir, name));
  }
}

/** The adapter's settings as PEFT stores them. */
function peftConfig({ settings, modules }: LoraAdapter): LoraConfig {
  const { r, loraAlpha, loraDropout, useRslora, useDora = false, modulesToSave = [], ensureWeightTying } = settings;
  const targetModules = modules.map(
    (module) => module.slice(module.indexOf('.') + 1) as LoraConfig['targetModules'][number],
  );
  const base = { rank: r, alpha: loraAlpha, dropout: loraDropout, useRslora, targetModules, baseModelNameOrPath: null };
  return {
    ...{ ...base, ...(useDora && { useDora }) },
    ...(modulesToSave.length > 0 && { modulesToSave, ensureWeightTying }),
  };
}

/** As a PEFT folder. */
export async function writeAdapter(dir: string, adapter: LoraAdapter): Promise<void> {
  const tensors = adapter.stored().map((tensor) => ({ ...tensor, dtype: 'F32' as const }));
  await writePeftAdapter(dir, peftConfig(adapter), tensors, { fsync: true });
}

/** The adapter of a PEFT folder, with the settings stored there. */
async function readAdapter(dir: string, config: ModelConfig): Promise<LoraAdapter> {
  return blaming('model.unreadable', async () => {
    const { config: stored, weights } = await openPeftAdapter(dir, { beyondLora: true });
    const tensors = new Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>();
    for (const { name, shape } of weights.tensors.values())
      tensors.set(name, { shape, data: await weights.readFloat32(name) });
    const { rank: r, alpha: loraAlpha, dropout: loraDropout, ...form } = stored;
    return LoraAdapter.restore(config, { ...form, r, loraAlpha, loraDropout }, tensors);
  });
}

import { copyFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import { openPeftAdapter, writePeftAdapter, writeSafetensors } from '@luthier/formats';
import type { LoraConfig, ModelConfig } from '@luthier/formats';
import { LoraAdapter, TrainedWeights, targetedModules, trainedWeightCount, viewOf } from '@luthier/lm';
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
  readonly parameters: number;
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
  return { parameters: 0, open };
}

async function adapterOutline(spec: RuntimeSpec, config: ModelConfig, settings: LoraSettings): Promise<TuningOutline> {
  await blaming('config.bad', () => Promise.resolve(targetedModules(settings)));
  const stored = spec.resumeFrom ?? spec.adapterDir;
  if (stored !== undefined) return outlineOf(spec, config, await readAdapter(stored, config));
  const adapter = LoraAdapter.create(config, settings, spec.seed);
  return outlineOf(spec, config, adapter, (weights) => {
    adapter.startFromWeights(weights);
  });
}

function outlineOf(
  spec: RuntimeSpec,
  config: ModelConfig,
  adapter: LoraAdapter,
  start: (weights: Weights) => void = () => undefined,
): TuningOutline {
  const open = async (): Promise<Tuned> => {
    const weights = await openWeights(spec.modelDir, config, { bits: spec.tuning.type === 'qlora' ? 8 : 32 });
    start(weights);
    return { parameters: adapter, weights, artifactDir: 'adapter', write: (dir) => writeAdapter(dir, adapter) };
  };
  return { parameters: adapter.values.length, open };
}

function weightsOutline(spec: RuntimeSpec, config: ModelConfig, topmostLayers: number | undefined): TuningOutline {
  if (topmostLayers !== undefined && topmostLayers > config.layers) {
    const message = `tuning.trainableLayers: the model has ${config.layers} layers.`;
    throw new AppError('config.bad', message, { param: 'tuning.trainableLayers' });
  }
  const open = async (): Promise<Tuned> => takeWeights(spec, config, spec.resumeFrom ?? spec.modelDir, topmostLayers);
  return { parameters: trainedWeightCount(config, topmostLayers), open };
}

async function takeWeights(
  spec: RuntimeSpec,
  config: ModelConfig,
  weightsDir: string,
  topmostLayers: number | undefined,
): Promise<Tuned> {
  const weights = await openWeights(weightsDir, config);
  const parameters = TrainedWeights.take(config, weights, topmostLayers);
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
  const { r, loraAlpha, loraDropout, useRslora, useDora = false } = settings;
  const targetModules = modules.map(
    (module) => module.slice(module.indexOf('.') + 1) as LoraConfig['targetModules'][number],
  );
  const base = { rank: r, alpha: loraAlpha, dropout: loraDropout, useRslora, targetModules, baseModelNameOrPath: null };
  return { ...base, ...(useDora && { useDora }) };
}

/** As a PEFT folder. */
export async function writeAdapter(dir: string, adapter: LoraAdapter): Promise<void> {
  const tensors = adapter.tensors.map((tensor) => ({
    name: tensor.name,
    dtype: 'F32' as const,
    shape: tensor.shape,
    data: viewOf(adapter.values, tensor),
  }));
  await writePeftAdapter(dir, peftConfig(adapter), tensors, { fsync: true });
}

/** The adapter of a PEFT folder, with the settings stored there. */
async function readAdapter(dir: string, config: ModelConfig): Promise<LoraAdapter> {
  return blaming('model.unreadable', async () => {
    const { config: stored, weights } = await openPeftAdapter(dir, { beyondLora: true });
    const tensors = new Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>();
    for (const { name, shape } of weights.tensors.values())
      tensors.set(name, { shape, data: await weights.readFloat32(name) });
    const { rank, alpha, dropout, targetModules, useRslora, useDora } = stored;
    const settings = { r: rank, loraAlpha: alpha, loraDropout: dropout, targetModules, useRslora, useDora };
    return LoraAdapter.restore(config, settings, tensors);
  });
}

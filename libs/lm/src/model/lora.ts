import {
  SAVED_MODULES,
  checkSavedShape,
  parseSavedModuleTensor,
  savedModuleTensor,
  withSavedModules,
} from '@luthier/formats';
import type { ModelConfig, SavedModule, SavedModulesForm } from '@luthier/formats';
import { loraInitialValues } from '@luthier/contracts';
import { rowSquares } from './dora.js';
import { LINEAR_MODULES, layerPrefix, linearShape } from './model-weights.js';
import type { LinearModule } from './model-weights.js';
import { elementsOf, layOut, viewOf } from './trained-parameters.js';
import type { TrainedParameters, TrainedTensor } from './trained-parameters.js';
import type { TensorData } from '../executor/executor.js';

export interface LoraSettings extends SavedModulesForm {
  readonly r: number;
  readonly loraAlpha: number;
  readonly loraDropout: number;
  /** Names as in PEFT (`q_proj` or a longer ending), or `all-linear`. */
  readonly targetModules: 'all-linear' | readonly string[];
  readonly useRslora: boolean;
  /** Magnitudes of the outputs beside A and B. @default false */
  readonly useDora?: boolean | undefined;
}

/** alpha/r, or alpha/sqrt(r) for rank-stabilised LoRA. */
const loraScale = (settings: LoraSettings): number =>
  settings.loraAlpha / (settings.useRslora ? Math.sqrt(settings.r) : settings.r);

/** The linear layers that are adapted. Throws RangeError for a name that matches none. */
export function targetedModules(settings: LoraSettings): LinearModule[] {
  const { targetModules } = settings;
  if (targetModules === 'all-linear') return [...LINEAR_MODULES];
  const matches = (module: string, target: string): boolean => module === target || module.endsWith(`.${target}`);
  for (const target of targetModules) {
    if (!LINEAR_MODULES.some((module) => matches(module, target))) {
      throw new RangeError(`No linear layer is called "${target}"; there are ${LINEAR_MODULES.join(', ')}.`);
    }
  }
  return LINEAR_MODULES.filter((module) => targetModules.some((target) => matches(module, target)));
}

const STORED_PREFIX = 'base_model.model.';
const EMBEDDINGS_AND_HEAD = ['embed_tokens', 'lm_head'] as const;
const A = '.lora_A.weight';
const EMBEDDINGS = savedModuleTensor('embed_tokens');
const MAGNITUDE = '.lora_magnitude_vector';

function* adapterShapes(
  config: ModelConfig,
  settings: LoraSettings,
  modules: readonly LinearModule[],
): Generator<readonly [string, readonly number[]]> {
  for (let layer = 0; layer < config.layers; layer += 1) {
    for (const module of modules) {
      const [out, inner] = linearShape(config, module);
      const base = `${STORED_PREFIX}${layerPrefix(layer)}${module}`;
      yield [`${base}${A}`, [settings.r, inner]];
      yield [`${base}.lora_B.weight`, [out, settings.r]];
      if (settings.useDora) yield [`${base}${MAGNITUDE}`, [out]];
    }
  }
  for (const module of wholeModules(config, settings))
    yield [savedModuleTensor(module), [config.vocabSize, config.hiddenSize]];
}

/** Modules that are trained whole; a matrix that is embeddings and head is named once. */
function wholeModules({ tieWordEmbeddings }: ModelConfig, { modulesToSave = [] }: LoraSettings): SavedModule[] {
  const found = EMBEDDINGS_AND_HEAD.filter((module) => modulesToSave.includes(module));
  return tieWordEmbeddings && found.length > 0 ? ['embed_tokens'] : found;
}

/** A LoRA adapter; with magnitudes (DoRA), and with embeddings and head trained whole beside it, where its settings say so. */
export class LoraAdapter implements TrainedParameters {
  readonly storedPrefix = STORED_PREFIX;
  readonly tensors: readonly TrainedTensor[];
  readonly modules: readonly LinearModule[];
  readonly scale: number;
  readonly values: Float32Array;
  /** Of the model with the adapter on it, in which embeddings and head may be tied no more. */
  readonly config: ModelConfig;

  private constructor(
    base: ModelConfig,
    readonly settings: LoraSettings,
  ) {
    this.config = withSavedModules(base, settings);
    this.modules = targetedModules(settings);
    this.scale = loraScale(settings);
    const { tensors, count } = layOut(adapterShapes(this.config, settings, this.modules));
    this.tensors = tensors;
    this.values = new Float32Array(count);
  }

  /**
   * As PEFT starts: A Kaiming-uniform from the portable generator, B zero. Magnitudes and whole modules come by
   * `startFromWeights`.
   */
  static create(config: ModelConfig, settings: LoraSettings, seed: number): LoraAdapter {
    const adapter = new LoraAdapter(config, settings);
    for (const tensor of adapter.tensors) {
      if (!tensor.name.endsWith(A)) continue;
      const values = loraInitialValues(seed, tensor.name, elementsOf(tensor.shape), tensor.shape[1] ?? 1);
      viewOf(adapter.values, tensor).set(values);
    }
    return adapter;
  }

  /**
   * From stored tensors. Throws RangeError when one is missing, has another shape, or is not known, and FormatError for
   * modules of another vocabulary.
   */
  static restore(
    config: ModelConfig,
    settings: LoraSettings,
    stored: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>,
  ): LoraAdapter {
    const adapter = new LoraAdapter(config, settings);
    for (const { name, shape, offset } of adapter.tensors) {
      const found = stored.get(name);
      const whole = parseSavedModuleTensor(name);
      if (whole && found) checkSavedShape(whole, found.shape, config);
      if (!found || found.shape.join() !== shape.join()) {
        throw new RangeError(
          `The adapter's "${name}" should have shape [${shape.join(', ')}], not [${found?.shape.join(', ') ?? 'missing'}].`,
        );
      }
      adapter.values.set(found.data, offset);
    }
    adapter.checkStored(stored);
    return adapter;
  }

  private checkStored(stored: ReadonlyMap<string, { readonly data: Float32Array }>): void {
    const known = new Map(this.stored().map(({ name, data }) => [name, data]));
    for (const [name, { data }] of stored) {
      const own = known.get(name);
      if (!own) throw new RangeError(`The adapter's "${name}" is not known.`);
      if (own.some((value, i) => !Object.is(value, data[i])))
        throw new RangeError(
          `The adapter's "${name}" is not "${EMBEDDINGS}", with which ensure_weight_tying makes it one.`,
        );
    }
  }

  /** What an adapter's file has: one matrix that is embeddings and head under either name, as with PEFT. */
  stored(): { readonly name: string; readonly shape: readonly number[]; readonly data: Float32Array }[] {
    const all = this.tensors.map((tensor) => ({ ...tensor, data: viewOf(this.values, tensor) }));
    const shared = this.config.tieWordEmbeddings ? all.filter(({ name }) => name === EMBEDDINGS) : [];
    return [...all, ...shared.map((tensor) => ({ ...tensor, name: savedModuleTensor('lm_head') }))];
  }

  /**
   * Makes DoRA's magnitudes those of the weights that it is put on, and whole modules copies of the model's: only of an
   * adapter that begins.
   */
  startFromWeights(weights: ReadonlyMap<string, TensorData>): void {
    for (const module of wholeModules(this.config, this.settings)) {
      const tensor = this.tensors.find(({ name }) => name === savedModuleTensor(module));
      const weight = weights.get(SAVED_MODULES[module]) ?? weights.get(SAVED_MODULES.embed_tokens);
      if (tensor && weight) viewOf(this.values, tensor).set(weight.data as Float32Array);
    }
    for (const tensor of this.tensors) {
      if (!tensor.name.endsWith(MAGNITUDE)) continue;
      const weight = `${tensor.name.slice(STORED_PREFIX.length, -MAGNITUDE.length)}.weight`;
      viewOf(this.values, tensor).set(rowSquares(weights, weight).map(Math.sqrt));
    }
  }
}

import type { ModelConfig } from '@luthier/formats';
import { loraInitialValues } from '@luthier/contracts';
import { rowSquares } from './dora.js';
import { LINEAR_MODULES, layerPrefix, linearShape } from './model-weights.js';
import type { LinearModule } from './model-weights.js';
import { elementsOf, layOut, viewOf } from './trained-parameters.js';
import type { TrainedParameters, TrainedTensor } from './trained-parameters.js';
import type { TensorData } from '../executor/executor.js';

export interface LoraSettings {
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
const A = '.lora_A.weight';
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
}

/** A LoRA adapter, with magnitudes (DoRA) where its settings say so. */
export class LoraAdapter implements TrainedParameters {
  readonly storedPrefix = STORED_PREFIX;
  readonly tensors: readonly TrainedTensor[];
  readonly modules: readonly LinearModule[];
  readonly scale: number;
  readonly values: Float32Array;

  private constructor(
    readonly config: ModelConfig,
    readonly settings: LoraSettings,
  ) {
    this.modules = targetedModules(settings);
    this.scale = loraScale(settings);
    const { tensors, count } = layOut(adapterShapes(config, settings, this.modules));
    this.tensors = tensors;
    this.values = new Float32Array(count);
  }

  /** As PEFT starts: A Kaiming-uniform from the portable generator, B zero. Magnitudes come by `startFromWeights`. */
  static create(config: ModelConfig, settings: LoraSettings, seed: number): LoraAdapter {
    const adapter = new LoraAdapter(config, settings);
    for (const tensor of adapter.tensors) {
      if (!tensor.name.endsWith(A)) continue;
      const values = loraInitialValues(seed, tensor.name, elementsOf(tensor.shape), tensor.shape[1] ?? 1);
      viewOf(adapter.values, tensor).set(values);
    }
    return adapter;
  }

  /** From stored tensors; throws RangeError when one is missing or has another shape. */
  static restore(
    config: ModelConfig,
    settings: LoraSettings,
    stored: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>,
  ): LoraAdapter {
    const adapter = new LoraAdapter(config, settings);
    for (const { name, shape, offset } of adapter.tensors) {
      const found = stored.get(name);
      if (!found || found.shape.join() !== shape.join()) {
        throw new RangeError(
          `The adapter's "${name}" should have shape [${shape.join(', ')}], not [${found?.shape.join(', ') ?? 'missing'}].`,
        );
      }
      adapter.values.set(found.data, offset);
    }
    const known = new Set(adapter.tensors.map(({ name }) => name));
    for (const name of stored.keys())
      if (!known.has(name)) throw new RangeError(`The adapter's "${name}" is not known.`);
    return adapter;
  }

  /** Makes DoRA's magnitudes those of the weights that it is put on: only of an adapter that begins. */
  startFromWeights(weights: ReadonlyMap<string, TensorData>): void {
    for (const tensor of this.tensors) {
      if (!tensor.name.endsWith(MAGNITUDE)) continue;
      const weight = `${tensor.name.slice(STORED_PREFIX.length, -MAGNITUDE.length)}.weight`;
      viewOf(this.values, tensor).set(rowSquares(weights, weight).map(Math.sqrt));
    }
  }
}

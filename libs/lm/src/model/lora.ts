import type { ModelConfig } from '@luthier/formats';
import { loraInitialValues } from '@luthier/contracts';
import { LINEAR_MODULES, layerPrefix, linearShape } from './model-weights.js';
import type { LinearModule } from './model-weights.js';

export interface LoraSettings {
  readonly r: number;
  readonly loraAlpha: number;
  readonly loraDropout: number;
  /** Names as in PEFT (`q_proj` or a longer ending), or `all-linear`. */
  readonly targetModules: 'all-linear' | readonly string[];
  readonly useRslora: boolean;
}

export interface AdapterTensor {
  /** As in PEFT's adapter_model.safetensors. */
  readonly name: string;
  readonly shape: readonly [number, number];
  /** First element within the flat parameter array. */
  readonly offset: number;
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

/** A LoRA adapter: all tensors in one array, so that optimiser and checkpoint see plain vectors. */
export class LoraAdapter {
  readonly tensors: readonly AdapterTensor[];
  readonly modules: readonly LinearModule[];
  readonly scale: number;
  readonly values: Float32Array;

  private constructor(
    readonly config: ModelConfig,
    readonly settings: LoraSettings,
  ) {
    this.modules = targetedModules(settings);
    this.scale = loraScale(settings);
    const tensors: AdapterTensor[] = [];
    let offset = 0;
    for (let layer = 0; layer < config.layers; layer += 1) {
      for (const module of this.modules) {
        const [out, inner] = linearShape(config, module);
        const base = `base_model.model.${layerPrefix(layer)}${module}`;
        for (const [side, shape] of [
          ['lora_A', [settings.r, inner]],
          ['lora_B', [out, settings.r]],
        ] as const) {
          tensors.push({ name: `${base}.${side}.weight`, shape, offset });
          offset += shape[0] * shape[1];
        }
      }
    }
    this.tensors = tensors;
    this.values = new Float32Array(offset);
  }

  /** As PEFT starts: A Kaiming-uniform from the portable generator, B zero. */
  static create(config: ModelConfig, settings: LoraSettings, seed: number): LoraAdapter {
    const adapter = new LoraAdapter(config, settings);
    for (const { name, shape, offset } of adapter.tensors) {
      if (!name.includes('.lora_A.')) continue;
      adapter.values.set(loraInitialValues(seed, name, shape[0] * shape[1], shape[1]), offset);
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
    return adapter;
  }

  /** A view of one tensor within a flat array laid out like `values`. */
  view(flat: Float32Array, tensor: AdapterTensor): Float32Array {
    return flat.subarray(tensor.offset, tensor.offset + tensor.shape[0] * tensor.shape[1]);
  }
}

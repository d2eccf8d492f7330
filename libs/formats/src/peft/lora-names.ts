/** Linear layers of a Llama block that LoRA can adapt, by the module they belong to. */
export const LORA_MODULES = {
  q_proj: 'self_attn',
  k_proj: 'self_attn',
  v_proj: 'self_attn',
  o_proj: 'self_attn',
  gate_proj: 'mlp',
  up_proj: 'mlp',
  down_proj: 'mlp',
} as const;

export type LoraModule = keyof typeof LORA_MODULES;

/** PEFT's name of an adapter tensor, e.g. `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`. */
export function loraTensorName(layer: number, module: LoraModule, part: 'A' | 'B'): string {
  return `base_model.model.model.layers.${layer}.${LORA_MODULES[module]}.${module}.lora_${part}.weight`;
}

/** PEFT's name of DoRA's magnitudes, one for each output, beside the A of a module. */
export const magnitudeNameOf = (nameA: string): string => nameA.replace(/lora_A\.weight$/, 'lora_magnitude_vector');

const PATTERN = /^base_model\.model\.model\.layers\.(\d{1,5})\.(self_attn|mlp)\.(\w+)\.lora_([AB])\.weight$/;

/** The reverse of loraTensorName; undefined for any other name. */
export function parseLoraTensorName(name: string): { layer: number; module: LoraModule; part: 'A' | 'B' } | undefined {
  const match = PATTERN.exec(name);
  const [, layer, parent, module, part] = match ?? [];
  if (module === undefined || !Object.hasOwn(LORA_MODULES, module)) return undefined;
  const known = module as LoraModule;
  if (LORA_MODULES[known] !== parent) return undefined;
  return { layer: Number(layer), module: known, part: part === 'A' ? 'A' : 'B' };
}

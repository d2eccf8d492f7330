import { FormatError } from '../format-error.js';
import { LORA_MODULES } from './lora-names.js';
import type { LoraModule } from './lora-names.js';

const moduleNames = Object.keys(LORA_MODULES) as LoraModule[];
/** How PEFT writes each layer's modules one by one, as it does for `all-linear` of models with few layers. */
const LAYER = /^model\.layers\.\d{1,5}\./;

/**
 * The modules that `target_modules` of an adapter's configuration names. PEFT matches by suffix, so a longer path means
 * the module at its end; which layers have one is said by the tensors.
 * @throws FormatError for a name of which the families have no linear layer.
 */
export function namedModules(targets: readonly string[] | 'all-linear'): LoraModule[] {
  if (targets === 'all-linear') return moduleNames;
  const named = targets.map((target) => {
    const path = target.replace(LAYER, '');
    const found = moduleNames.find((module) => path === module || path === `${LORA_MODULES[module]}.${module}`);
    if (found) return found;
    const message = `adapter_config.json: target module "${target.slice(0, 100)}" is not known.`;
    throw new FormatError('format.unsupported', message, { field: 'target_modules' });
  });
  return moduleNames.filter((module) => named.includes(module));
}

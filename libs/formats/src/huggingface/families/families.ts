import type { ModelFamily } from './family.js';
import { gemma2 } from './gemma2.js';
import { gemma3 } from './gemma3.js';
import { llama } from './llama.js';
import { mistral } from './mistral.js';
import { qwen2 } from './qwen2.js';
import { qwen3 } from './qwen3.js';

const FAMILIES: readonly ModelFamily[] = [llama, mistral, qwen2, qwen3, gemma2, gemma3];

export const familyOf = (modelType: string): ModelFamily | undefined =>
  FAMILIES.find((family) => family.modelType === modelType);

export const MODEL_TYPES: readonly string[] = FAMILIES.map((family) => family.modelType);

/** Names of the understood architectures, as in `config.json`. */
export const MODEL_ARCHITECTURES: readonly string[] = FAMILIES.map((family) => family.architecture);

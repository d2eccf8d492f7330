import { FormatError } from '../format-error.js';
import type { ModelConfig } from '../huggingface/model-config.js';

/** Modules that can be trained whole beside an adapter (PEFT's `modules_to_save`), with the weight that each has. */
export const SAVED_MODULES = {
  embed_tokens: 'model.embed_tokens.weight',
  lm_head: 'lm_head.weight',
} as const;

export type SavedModule = keyof typeof SAVED_MODULES;

const SAVED_MODULE_NAMES = Object.keys(SAVED_MODULES) as SavedModule[];
const STORED_PREFIX = 'base_model.model.';

/** PEFT's name of the weight of a module that was trained whole. */
export const savedModuleTensor = (module: SavedModule): string => `${STORED_PREFIX}${SAVED_MODULES[module]}`;

/** The reverse of savedModuleTensor; undefined for any other name. */
export const parseSavedModuleTensor = (name: string): SavedModule | undefined =>
  SAVED_MODULE_NAMES.find((module) => savedModuleTensor(module) === name);

/** The modules of a list of `modules_to_save`. Throws FormatError for one that is not known. */
export function savedModulesOf(names: readonly string[]): SavedModule[] {
  const found = names.map((name) => {
    // PEFT matches by the end of a path, and names the path itself where weights are tied.
    const module = SAVED_MODULE_NAMES.find((one) => name === one || `${name}.weight` === SAVED_MODULES[one]);
    if (module) return module;
    throw new FormatError(
      'format.unsupported',
      `adapter_config.json: modules_to_save: "${name.slice(0, 100)}" is not supported beside ${SAVED_MODULE_NAMES.join(' and ')}; merge it into its base with PEFT.`,
      { field: 'modules_to_save' },
    );
  });
  return SAVED_MODULE_NAMES.filter((module) => found.includes(module));
}

/** What of an adapter's settings says how embeddings and head are trained. */
export interface SavedModulesForm {
  /** Trained whole beside A and B. @default none */
  readonly modulesToSave?: readonly SavedModule[] | undefined;
  /** Embeddings and head stay one matrix where they are one in the base; else each is its own from then on. @default false */
  readonly ensureWeightTying?: boolean | undefined;
}

/**
 * The modules that the weights file has, by its tensors' `names`: with `ensure_weight_tying` PEFT stores a matrix that is
 * both under either name. Throws FormatError where file and settings do not agree.
 */
export function storedModules(
  { modulesToSave = [], ensureWeightTying }: SavedModulesForm,
  names: Iterable<string>,
): SavedModule[] {
  const stored = new Set([...names].map(parseSavedModuleTensor));
  for (const module of SAVED_MODULE_NAMES) {
    const [tensor, asked] = [savedModuleTensor(module), modulesToSave.includes(module)];
    if (asked && !stored.has(module))
      throw new FormatError('format.missing', `The adapter has no "${tensor}", which modules_to_save names.`, {
        tensor,
      });
    if (asked || !stored.has(module) || (ensureWeightTying && modulesToSave.length > 0)) continue;
    const message = `The adapter holds "${tensor}", which modules_to_save does not name, as PEFT stores it when a vocabulary was resized; merge it into its base with PEFT.`;
    throw new FormatError('format.unsupported', message, { tensor });
  }
  return SAVED_MODULE_NAMES.filter((module) => stored.has(module));
}

/** Throws FormatError for a module's weight of another shape than the base has. */
export function checkSavedShape(
  module: SavedModule,
  shape: readonly number[],
  { vocabSize, hiddenSize }: ModelConfig,
): void {
  if (shape.length === 2 && shape[0] === vocabSize && shape[1] === hiddenSize) return;
  const tensor = savedModuleTensor(module);
  throw new FormatError(
    'format.unsupported',
    `"${tensor}" is [${shape.join(', ')}], the base has [${vocabSize}, ${hiddenSize}]; if the vocabulary was resized, merge the adapter into its base with PEFT.`,
    { tensor },
  );
}

/** The model that an adapter makes of `config`: as with PEFT, embeddings and head that are trained apart are tied no more. */
export const withSavedModules = (
  config: ModelConfig,
  { modulesToSave = [], ensureWeightTying }: SavedModulesForm,
): ModelConfig =>
  config.tieWordEmbeddings && modulesToSave.length > 0 && !ensureWeightTying
    ? { ...config, tieWordEmbeddings: false }
    : config;

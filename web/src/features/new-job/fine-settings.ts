import type { Inventory } from '../../lib/api/cluster';
import type { Job, JobBody } from '../../lib/api/jobs';
import type { TuningKind } from './tuning-kinds';

/** What most never touch, and not every runtime has. */
export interface FineSettings {
  /** Of QLoRA. */
  bits: (typeof BITS)[number];
  variant: (typeof VARIANTS)[number];
  /** Trained whole beside an adapter. */
  modules: (typeof MODULES)[number];
  optimizer: (typeof OPTIMIZERS)[number];
  loraplusRatio: string;
  noiseAlpha: string;
  smoothing: string;
  evaluationSteps: string;
  patience: string;
}

const BITS = ['4', '8'] as const;
/** DoRA and PiSSA exclude each other. */
export const VARIANTS = ['plain', 'dora', 'pissa'] as const;
/** Embeddings, output weights, or both, which alone goes where they are one matrix. */
export const MODULES = ['none', 'both', 'embed_tokens', 'lm_head'] as const;
export const OPTIMIZERS = ['adamw', 'adamw8bit', 'adafactor', 'muon'] as const;

export const EMPTY_FINE_SETTINGS: FineSettings = {
  bits: '4',
  variant: 'plain',
  modules: 'none',
  optimizer: 'adamw',
  loraplusRatio: '',
  noiseAlpha: '',
  smoothing: '',
  evaluationSteps: '',
  patience: '',
};

const BOTH = ['embed_tokens', 'lm_head'] as const;

/** Of the numbers among them, the feature of a runtime that has it. */
export const FEATURE_OF = {
  loraplusRatio: 'loraplus',
  noiseAlpha: 'neftune',
  smoothing: 'label-smoothing',
  // What the patience counts.
  evaluationSteps: 'early-stopping',
  patience: 'early-stopping',
} as const;
export type FineNumber = keyof typeof FEATURE_OF;

type Tuning = NonNullable<JobBody['tuning']>;
type Hyperparameters = NonNullable<JobBody['hyperparameters']>;

export const isAdapter = (kind: TuningKind): boolean => kind === 'lora' || kind === 'qlora';

/** Whether it goes with what is trained and what is learnt from, and a runtime here has it, as far as that is known. */
export function isOffered(
  feature: string,
  { kind, method, inventory }: { kind: TuningKind; method: string; inventory: Inventory | undefined },
): boolean {
  if (feature === 'muon' && isAdapter(kind)) return false;
  if (['dora', 'pissa', 'loraplus', 'modules-to-save'].includes(feature) && !isAdapter(kind)) return false;
  if (['pissa', 'modules-to-save'].includes(feature) && method === 'reward') return false;
  if (feature === 'label-smoothing' && method !== 'supervised' && method !== 'pretrain') return false;
  if (feature === 'plain' || feature === 'adamw' || inventory === undefined) return true;
  return inventory.profiles.some(({ capabilities }) => capabilities.features?.includes(feature));
}

/** Of QLoRA: 4 bits are a feature of their own, 8 are what every runtime with QLoRA has. */
export const offeredBits = (inventory: Inventory | undefined): FineSettings['bits'][] =>
  BITS.filter((bits) => bits === '8' || isOffered('nf4', { kind: 'qlora', method: '', inventory }));

/** What of them belongs to the tuning of a request; nothing of what was left as it is. */
export function fineTuning(kind: TuningKind, form: FineSettings): Partial<Tuning> {
  if (!isAdapter(kind)) return {};
  const ratio = form.loraplusRatio.trim();
  return {
    ...(kind === 'qlora' && { bits: form.bits === '4' ? (4 as const) : (8 as const) }),
    ...(form.variant === 'dora' && { use_dora: true }),
    ...(form.variant === 'pissa' && { init_lora_weights: 'pissa' as const }),
    ...(form.modules !== 'none' && { modules_to_save: form.modules === 'both' ? [...BOTH] : [form.modules] }),
    ...(ratio !== '' && { loraplus_lr_ratio: Number(ratio) }),
  };
}

/** What of them stands beside the method's own settings. */
export function fineHyperparameters(form: FineSettings): Partial<Hyperparameters> {
  const [alpha, smoothing] = [form.noiseAlpha.trim(), form.smoothing.trim()];
  const [evaluationSteps, patience] = [form.evaluationSteps.trim(), form.patience.trim()];
  return {
    ...(form.optimizer !== 'adamw' && { optimizer: form.optimizer }),
    ...(alpha !== '' && { neftune_noise_alpha: Number(alpha) }),
    ...(smoothing !== '' && { label_smoothing_factor: Number(smoothing) }),
    ...(evaluationSteps !== '' && { eval_steps: Number(evaluationSteps) }),
    ...(patience !== '' && { early_stopping_patience: Number(patience) }),
  };
}

const textOf = (value: number | null | undefined): string => (value == null ? '' : String(value));

/** As an earlier job was asked for. */
export function fineSettingsOf({ tuning, hyperparameters }: Pick<Job, 'tuning' | 'hyperparameters'>): FineSettings {
  const lora = tuning.type === 'lora' || tuning.type === 'qlora' ? tuning : undefined;
  const modules = lora?.modules_to_save ?? [];
  const started = lora?.init_lora_weights === 'pissa' ? 'pissa' : 'plain';
  return {
    bits: tuning.type === 'qlora' && tuning.bits === 8 ? '8' : '4',
    variant: lora?.use_dora ? 'dora' : started,
    modules: modules.length > 1 ? 'both' : (modules[0] ?? 'none'),
    optimizer: hyperparameters.optimizer ?? 'adamw',
    loraplusRatio: textOf(lora?.loraplus_lr_ratio),
    noiseAlpha: textOf(hyperparameters.neftune_noise_alpha),
    smoothing: textOf(hyperparameters.label_smoothing_factor),
    evaluationSteps: textOf(hyperparameters.evaluation_steps),
    patience: textOf(hyperparameters.early_stopping_patience),
  };
}

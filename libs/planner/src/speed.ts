import type { ModelShape, Tuning } from '@luthier/contracts';
import type { MemoryEstimate } from './memory.js';
import type { PlanInput } from './plan-input.js';

/** What was measured once: LoRA on 135 million parameters, single precision, two cores. */
const MEASURED = { parameters: 135e6, tokensPerSecond: 180, cpus: 2 };
/** Smaller models use the cores worse, so speed grows slower than size shrinks. */
const SIZE_EXPONENT = 0.85;
/** Useful arithmetic of one GPU in half precision; a low guess for cards of the last years. */
const GPU_FLOPS = 30e12;
/** Operations per parameter and token of a pass: a product and a sum. */
const PASS = 2;
/** An adapter: there, and back through weights that stay as they are. What was measured is that. */
const ADAPTER_WORK = 2 * PASS;

/** Operations per parameter and token of a step: there, back, for weights that are trained, and what is done twice. */
function workPerToken(tuning: Tuning, { layers }: ModelShape, memoryMode: MemoryEstimate['memoryMode']): number {
  const twice = memoryMode === 'layer-recompute' ? PASS : 0;
  if (tuning.type === 'full') return ADAPTER_WORK + PASS + twice;
  if (tuning.type !== 'freeze') return ADAPTER_WORK + twice;
  const share = Math.min(1, tuning.trainableLayers / layers); // nothing goes back below the lowest of them
  return PASS + share * (2 * PASS + twice);
}

export interface SpeedQuestion {
  readonly shape: ModelShape;
  readonly tuning: Tuning;
  readonly memoryMode: MemoryEstimate['memoryMode'];
}

/** Training tokens per second. Clearly a guess: say so wherever it is shown. */
export function guessTokensPerSecond(
  { shape, tuning, memoryMode }: SpeedQuestion,
  profile: { devices: number; cpus: number },
): number {
  const { parameters } = shape;
  const work = workPerToken(tuning, shape, memoryMode);
  if (profile.devices > 0) return (profile.devices * GPU_FLOPS) / (work * parameters);
  const ofSize = (MEASURED.parameters / parameters) ** SIZE_EXPONENT;
  const ofCores = (Math.max(1, profile.cpus) / MEASURED.cpus) ** 0.8;
  return (MEASURED.tokensPerSecond * ofSize * ofCores * ADAPTER_WORK) / work;
}

/** A pass without gradients beside one that trains an adapter, where the way back costs about as much as the way there. */
const FORWARD_SHARE = 0.5;

/**
 * What a method measures beside its training, as tokens that are trained in the same time. DPO and KTO measure every row
 * once before the first step (their reference); KTO does so, too, with prompts and the answers of other rows, before the
 * first step and again at each. GRPO generates what it trains; what several steps learn from it measures besides.
 */
export function measuringTokens({ method, tokensPerEpoch, answers }: PlanInput, trainingTokens: number): number {
  if (method === 'grpo') {
    const steps = answers?.stepsEach ?? 1;
    return (FORWARD_SHARE * trainingTokens * (steps > 1 ? 2 : 1)) / steps;
  }
  if (method === 'dpo') return FORWARD_SHARE * tokensPerEpoch;
  return method === 'kto' ? FORWARD_SHARE * (tokensPerEpoch + 2 * trainingTokens) : 0;
}

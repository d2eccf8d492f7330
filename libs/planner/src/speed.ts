import type { PlanInput } from './plan-input.js';

/** What was measured once: LoRA on 135 million parameters, single precision, two cores. */
const MEASURED = { parameters: 135e6, tokensPerSecond: 180, cpus: 2 };
/** Smaller models use the cores worse, so speed grows slower than size shrinks. */
const SIZE_EXPONENT = 0.85;
/** Useful arithmetic of one GPU in half precision; a low guess for cards of the last years. */
const GPU_FLOPS = 30e12;
const FLOPS_PER_PARAMETER_AND_TOKEN = 6;

/** Training tokens per second. Clearly a guess: say so wherever it is shown. */
export function guessTokensPerSecond(parameters: number, profile: { devices: number; cpus: number }): number {
  if (profile.devices > 0) return (profile.devices * GPU_FLOPS) / (FLOPS_PER_PARAMETER_AND_TOKEN * parameters);
  const cores = Math.max(1, profile.cpus);
  return (
    MEASURED.tokensPerSecond * (MEASURED.parameters / parameters) ** SIZE_EXPONENT * (cores / MEASURED.cpus) ** 0.8
  );
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

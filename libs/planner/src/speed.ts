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

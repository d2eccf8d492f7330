/** exp of the mean negative log-probability (natural logarithm) per token. */
export function perplexity(sumLogProb: number, tokens: number): number {
  if (!(tokens > 0)) throw new RangeError('Perplexity needs at least one token.');
  return Math.exp(-sumLogProb / tokens);
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Wilson score interval of a share, 95 % by default (z = 1.96). No trials: anything from 0 to 1. */
export function wilsonInterval(successes: number, trials: number, z = 1.959964): Interval {
  if (!(successes >= 0 && successes <= trials)) throw new RangeError('Successes must lie between 0 and the trials.');
  if (trials === 0) return { low: 0, high: 1 };
  const share = successes / trials;
  const denominator = 1 + z ** 2 / trials;
  const centre = (share + z ** 2 / (2 * trials)) / denominator;
  const half = (z / denominator) * Math.sqrt((share * (1 - share)) / trials + z ** 2 / (4 * trials ** 2));
  return { low: Math.max(0, Math.min(share, centre - half)), high: Math.min(1, Math.max(share, centre + half)) };
}

import { AppError } from '@luthier/contracts';

/** How far an export lies from what it was made from, over the positions of all prompts. */
export interface ParityFigures {
  readonly positions: number;
  /** Positions where another token is the most likely one. */
  readonly otherTokens: number;
  /** Of these, where the two best logits of the source lie no further apart than CLOSE_LOGITS. */
  readonly closeTokens: number;
  /** Kullback-Leibler divergence of the export from the source, mean and largest, in nats. */
  readonly meanKl: number;
  readonly maxKl: number;
}

/** Two sums in another order may differ by this much; closer logits have no order that both must agree on. */
export const CLOSE_LOGITS = 0.05;
/** Mean divergences, in nats, that eight bits may cost, and an adapter whose sum with its base is rounded to 16 bits. */
const MEAN_KL_OF_EIGHT_BITS = 0.01;
const MEAN_KL_OF_MERGING = 0.002;

const logSumExp = (logits: Float32Array): number => {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  return most + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
};

/** Index of the largest, and how far the second lies below it. */
function best(logits: Float32Array): { token: number; gap: number } {
  let [token, most, second] = [0, -Infinity, -Infinity];
  logits.forEach((logit, i) => {
    if (logit > most) [token, most, second] = [i, logit, most];
    else if (logit > second) second = logit;
  });
  return { token, gap: most - second };
}

/** KL(source || other) in nats; NaN where either holds what is not finite. */
function divergence(source: Float32Array, other: Float32Array): number {
  const [a, b] = [logSumExp(source), logSumExp(other)];
  let sum = 0;
  source.forEach((logit, i) => {
    const log = logit - a;
    sum += Math.exp(log) * (log - ((other[i] ?? NaN) - b));
  });
  return sum;
}

/** Adds up what two engines give at the same positions. */
export class Comparison {
  private positions = 0;
  private otherTokens = 0;
  private closeTokens = 0;
  private sumKl = 0;
  private maxKl = 0;

  /** Logits of the next token at one position. @throws AppError `model.export-drifted` when the vocabularies differ. */
  add(source: Float32Array, other: Float32Array): void {
    if (source.length !== other.length)
      throw new AppError(
        'model.export-drifted',
        `The export is not published: it has ${other.length} tokens in its vocabulary, its source ${source.length}`,
      );
    const [mine, theirs] = [best(source), best(other)];
    const kl = divergence(source, other);
    this.positions += 1;
    this.sumKl += kl;
    this.maxKl = Number.isNaN(kl) ? NaN : Math.max(this.maxKl, kl);
    if (mine.token === theirs.token) return;
    this.otherTokens += 1;
    if (mine.gap <= CLOSE_LOGITS) this.closeTokens += 1;
  }

  get figures(): ParityFigures {
    const { positions, otherTokens, closeTokens, sumKl, maxKl } = this;
    return { positions, otherTokens, closeTokens, meanKl: sumKl / positions, maxKl };
  }
}

export interface Rounding {
  /** Weights of eight bits, with a scale for every 32. */
  readonly eightBits: boolean;
  /** The source computes base and adapter apart; the export has their sum, rounded. */
  readonly merged: boolean;
}

/**
 * Why an export is not what it was made from; null when it is. Where nothing was rounded anew, it must choose the same
 * token wherever the source is sure which; where weights were, it must give nearly the same distribution.
 */
export function drift({ eightBits, merged }: Rounding, figures: ParityFigures): string | null {
  const { positions, otherTokens, closeTokens, meanKl } = figures;
  if (!Number.isFinite(meanKl)) return 'it gives numbers that are not finite';
  if (eightBits || merged) {
    const allowed = eightBits ? MEAN_KL_OF_EIGHT_BITS : MEAN_KL_OF_MERGING;
    return meanKl <= allowed ? null : `its mean divergence is ${meanKl.toPrecision(3)} nats; allowed are ${allowed}`;
  }
  const wrong = otherTokens - closeTokens;
  if (wrong === 0) return null;
  const where = `${wrong} of ${positions} positions where the source is sure`;
  return `it chooses another token at ${where}; its mean divergence is ${meanKl.toPrecision(3)} nats`;
}

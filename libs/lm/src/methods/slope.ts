/** A loss with its slopes by the log-probabilities that it is made of. */
export interface PairLoss {
  readonly loss: number;
  readonly chosen: number;
  readonly rejected: number;
}

/** One number for each answer of a pair: a sum of log-probabilities, or a count of tokens. */
export interface Pair {
  readonly chosen: number;
  readonly rejected: number;
}

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** log(sigmoid(x)), exact at both ends. */
export const logSigmoid = (x: number): number => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));

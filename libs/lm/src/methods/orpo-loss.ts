import type { Method } from '@luthier/contracts';
import { logSigmoid, sigmoid } from './slope.js';
import type { Pair, PairLoss } from './slope.js';

export type OrpoSettings = Extract<Method, { type: 'orpo' }>;

/** Hong et al. 2024: the term beside the supervised loss of the chosen answers. */
export function orpoOddsLoss({ beta }: OrpoSettings, policy: Pair, lengths: Pair): PairLoss {
  const [chosen, rejected] = [policy.chosen / lengths.chosen, policy.rejected / lengths.rejected];
  const ratio = logOdds(chosen) - logOdds(rejected);
  const slope = -beta * sigmoid(-ratio);
  return {
    loss: -beta * logSigmoid(ratio),
    chosen: (slope * logOddsSlope(chosen)) / lengths.chosen,
    rejected: (-slope * logOddsSlope(rejected)) / lengths.rejected,
  };
}

/** log(p / (1 - p)) of log p, exact also where p is near 1. */
const logOdds = (logProbability: number): number => logProbability - Math.log(-Math.expm1(logProbability));

/** 1 / (1 - p). */
const logOddsSlope = (logProbability: number): number => -1 / Math.expm1(logProbability);

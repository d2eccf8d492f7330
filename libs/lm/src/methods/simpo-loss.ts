import type { Method } from '@luthier/contracts';
import { logSigmoid, sigmoid } from './slope.js';
import type { Pair, PairLoss } from './slope.js';

export type SimpoSettings = Extract<Method, { type: 'simpo' }>;

/** Meng et al. 2024: no reference; `lengths` counts the trained tokens of each answer. */
export function simpoLoss({ beta, gamma }: SimpoSettings, policy: Pair, lengths: Pair): PairLoss {
  const reward = beta * (policy.chosen / lengths.chosen - policy.rejected / lengths.rejected) - gamma;
  const slope = -beta * sigmoid(-reward);
  return { loss: -logSigmoid(reward), chosen: slope / lengths.chosen, rejected: -slope / lengths.rejected };
}

import type { Method } from '@luthier/contracts';
import { logSigmoid, sigmoid } from './slope.js';
import type { Pair, PairLoss } from './slope.js';

export type DpoSettings = Extract<Method, { type: 'dpo' }>;

/**
 * Rafailov et al. 2023 (sigmoid), Azar et al. 2023 (ipo), Zhao et al. 2023 (hinge); smoothing by Mitchell 2023. Sums of
 * log-probabilities over the trained tokens of each answer, under the policy and under the reference.
 */
export function dpoLoss(settings: DpoSettings, policy: Pair, reference: Pair): PairLoss {
  const margin = policy.chosen - reference.chosen - (policy.rejected - reference.rejected);
  const { loss, slope } = ofMargin(settings, margin);
  return { loss, chosen: slope, rejected: -slope };
}

function ofMargin(
  { loss: kind, beta, labelSmoothing: wrong }: DpoSettings,
  margin: number,
): { loss: number; slope: number } {
  const scaled = beta * margin;
  switch (kind) {
    case 'sigmoid':
      return {
        loss: -(1 - wrong) * logSigmoid(scaled) - wrong * logSigmoid(-scaled),
        slope: beta * (wrong * sigmoid(scaled) - (1 - wrong) * sigmoid(-scaled)),
      };
    case 'ipo': {
      const far = margin - 1 / (2 * beta);
      return { loss: far ** 2, slope: 2 * far };
    }
    case 'hinge':
      return scaled < 1 ? { loss: 1 - scaled, slope: -beta } : { loss: 0, slope: 0 };
  }
}

import type { Method } from '@luthier/contracts';
import { sigmoid } from './slope.js';

export type KtoSettings = Extract<Method, { type: 'kto' }>;

/**
 * Ethayarajh et al. 2024, of one row. `divergence`: of policy and reference, see `ktoDivergence`; no slope goes through
 * it. `slope` is by the policy's log-probability.
 */
export function ktoLoss(
  { beta, desirableWeight, undesirableWeight }: KtoSettings,
  policy: number,
  reference: number,
  desirable: boolean,
  divergence: number,
): { loss: number; slope: number } {
  const [sign, weight] = desirable ? [1, desirableWeight] : [-1, undesirableWeight];
  const value = sigmoid(sign * beta * (policy - reference - divergence));
  return { loss: weight * (1 - value), slope: -weight * sign * beta * value * (1 - value) };
}

/** From log-ratios of policy to reference for each prompt with the answer of another row: their mean, not below 0. */
export const ktoDivergence = (mismatched: Float64Array): number =>
  Math.max(0, mismatched.reduce((a, b) => a + b, 0) / Math.max(1, mismatched.length));

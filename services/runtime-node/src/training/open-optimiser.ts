import type { RuntimeSpec } from '@luthier/contracts';
import { AdamW, AdamW8bit, Adafactor, loraPlusShare } from '@luthier/lm';
import type { Optimiser, TrainedTensor } from '@luthier/lm';

/** The optimiser that the spec asks for, before its first step. */
export function openOptimiser({ hyperparameters, tuning }: RuntimeSpec, tensors: readonly TrainedTensor[]): Optimiser {
  const { adamBeta1: beta1, adamBeta2: beta2, adamEpsilon: epsilon, weightDecay, optimizer } = hyperparameters;
  const isAdapter = tuning.type === 'lora' || tuning.type === 'qlora';
  const share = isAdapter ? loraPlusShare(tuning.loraplusLrRatio ?? 1) : undefined;
  if (optimizer === 'adafactor') return new Adafactor({ weightDecay }, tensors, share);
  const Chosen = optimizer === 'adamw8bit' ? AdamW8bit : AdamW;
  return new Chosen({ beta1, beta2, epsilon, weightDecay }, tensors, share);
}

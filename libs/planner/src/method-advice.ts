import type { Method } from '@luthier/contracts';

/** How the advice for a method differs from that for supervised training. */
export interface MethodAdvice {
  /** Of the supervised learning rate. */
  readonly rateShare: number;
  readonly rateWhy: string;
  /** Rows or pairs a step. */
  readonly batch: number;
  readonly batchWhy: string;
  /** Most passes over the rows, however few they are. */
  readonly epochsMax: number;
}

/**
 * What is compared is relative: nothing but the rate holds the model to what it could do before, so methods that compare
 * take a fraction of the supervised rate, and see every row seldom. The shares are those of the papers and of what TRL
 * and LLaMA-Factory ship (5e-6 beside 1e-4 for DPO, a third for ORPO, which imitates as well).
 */
const OF_METHOD: Readonly<Record<Method['type'], MethodAdvice>> = {
  supervised: {
    rateShare: 1,
    rateWhy: '',
    batch: 8,
    batchWhy: 'Eight rows a step: enough to calm the gradient, small enough for little memory.',
    epochsMax: 6,
  },
  pretrain: {
    rateShare: 0.25,
    rateWhy: 'A quarter of the supervised rate: every token is learnt, and what the model knew shall stay.',
    batch: 8,
    batchWhy: 'Eight rows a step: enough to calm the gradient, small enough for little memory.',
    epochsMax: 1,
  },
  dpo: comparing(0.1, 'A tenth of the supervised rate: a comparison pushes much harder than an example.'),
  orpo: comparing(0.3, 'A third of the supervised rate: the chosen answers are imitated as well as compared.'),
  simpo: comparing(0.05, 'Half of the rate for DPO: no reference holds the model back.'),
  reward: comparing(0.1, 'A tenth of the supervised rate: a comparison pushes much harder than an example.'),
  kto: {
    ...comparing(0.1, 'A tenth of the supervised rate, as for DPO.'),
    batchWhy: 'Sixteen answers a step: how far the model has moved is estimated from them.',
  },
};

function comparing(rateShare: number, rateWhy: string): MethodAdvice {
  return {
    rateShare,
    rateWhy,
    batch: 16,
    batchWhy: 'Sixteen pairs a step: one pair alone says little.',
    epochsMax: 3,
  };
}

export const adviceForMethod = (method: Method['type']): MethodAdvice => OF_METHOD[method];

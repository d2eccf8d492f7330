import type { Method, PLAN_NOTES, PlanNoteId } from '@luthier/contracts';

/** How the advice for a method differs from that for supervised training. */
export interface MethodAdvice {
  /** Of the supervised learning rate. */
  readonly rateShare: number;
  /** Null: nothing is to be said of it. */
  readonly rateWhy: PlanNoteWithoutValues | null;
  /** Rows or pairs a step. */
  readonly batch: number;
  readonly batchWhy: 'batch-of-rows' | 'batch-of-pairs' | 'batch-of-answers' | 'batch-of-prompts';
  /** Most passes over the rows, however few they are. */
  readonly epochsMax: number;
}

type PlanNoteWithoutValues = {
  [Id in PlanNoteId]: (typeof PLAN_NOTES)[Id] extends readonly [] ? Id : never;
}[PlanNoteId];

/**
 * What is compared is relative: nothing but the rate holds the model to what it could do before, so methods that compare
 * take a fraction of the supervised rate, and see every row seldom. The shares are those of the papers and of what TRL
 * and LLaMA-Factory ship (5e-6 beside 1e-4 for DPO, a third for ORPO, which imitates as well).
 */
const OF_METHOD: Readonly<Record<Method['type'], MethodAdvice>> = {
  supervised: {
    rateShare: 1,
    rateWhy: null,
    batch: 8,
    batchWhy: 'batch-of-rows',
    epochsMax: 6,
  },
  pretrain: {
    rateShare: 0.25,
    rateWhy: 'rate-pretrain',
    batch: 8,
    batchWhy: 'batch-of-rows',
    epochsMax: 1,
  },
  dpo: comparing(0.1, 'rate-comparing'),
  orpo: comparing(0.3, 'rate-orpo'),
  simpo: comparing(0.05, 'rate-simpo'),
  reward: comparing(0.5, 'rate-reward'),
  grpo: {
    rateShare: 0.05,
    rateWhy: 'rate-grpo',
    batch: 8,
    batchWhy: 'batch-of-prompts',
    epochsMax: 3,
  },
  kto: {
    ...comparing(0.1, 'rate-kto'),
    batchWhy: 'batch-of-answers',
  },
};

function comparing(rateShare: number, rateWhy: MethodAdvice['rateWhy']): MethodAdvice {
  return {
    rateShare,
    rateWhy,
    batch: 16,
    batchWhy: 'batch-of-pairs',
    epochsMax: 3,
  };
}

export const adviceForMethod = (method: Method['type']): MethodAdvice => OF_METHOD[method];

import { z } from 'zod';
import { toldParams } from './fit.js';

/**
 * Why a plan is as it is, with the values that its sentence names. Closed: everything that shows notes has a sentence for
 * each.
 */
export const PLAN_NOTES = {
  // of the plan itself
  'tokens-guessed': [],
  'file-validating': [],
  'time-guessed': ['tokensPerSecond'],
  'measured-in-rehearsal': ['tokensPerSecond'],
  'layers-recomputed': [],
  'model-dealt-out': ['processes'],
  'model-offloaded': [],
  'rows-shared': ['processes'],
  'precision-asked': ['precision'],
  'precision-bfloat16': [],
  'precision-float16': [],
  'precision-float32': [],
  // why values that were left open are what they are
  'tuning-advised': ['rank'],
  'rate-above-billion': [],
  'rate-about-billion': [],
  'rate-small': [],
  'rate-very-small': [],
  'rate-of-weights': [],
  'rate-pretrain': [],
  'rate-comparing': [],
  'rate-orpo': [],
  'rate-simpo': [],
  'rate-reward': [],
  'rate-grpo': [],
  'rate-kto': [],
  'epochs-later': [],
  'epochs-by-rows': ['rows', 'epochs'],
  'batch-of-rows': ['batch'],
  'batch-of-pairs': ['batch'],
  'batch-of-answers': ['batch'],
  'batch-of-prompts': ['batch'],
  'cutoff-advised': ['cutoff', 'longest'],
} as const;
export type PlanNoteId = keyof typeof PLAN_NOTES;
export type PlanNoteParams<Id extends PlanNoteId = PlanNoteId> = Readonly<
  Record<(typeof PLAN_NOTES)[Id][number], string | number>
>;
export const PLAN_NOTE_IDS = Object.keys(PLAN_NOTES) as [PlanNoteId, ...PlanNoteId[]];

export const planNote = z.object({
  id: z.enum(PLAN_NOTE_IDS),
  /** The job's field whose value it explains, in its public spelling; null: none. */
  field: z.string().nullable(),
  params: toldParams,
  /** The same in English. */
  message: z.string(),
});
export type PlanNote = z.output<typeof planNote>;

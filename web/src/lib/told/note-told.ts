import { paramsTold } from './amount-told';
import type { Plan } from '../api/jobs';
import type { Told } from './told';

export type PlanNote = Plan['notes'][number];

/** Why a plan, or a value that was left open, is as it is. */
export const noteTold = ({ id, params }: Pick<PlanNote, 'id' | 'params'>): Told => ({
  key: `note.${id}`,
  ...paramsTold(params),
});

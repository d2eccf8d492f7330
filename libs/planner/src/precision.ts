import type { PlanNote, Precision } from '@luthier/contracts';
import { planNote } from './notes.js';

/** What a device offers; undefined: nobody knows. */
export interface PrecisionQuestion {
  /** By the job; null: the planner chooses. */
  readonly asked: Precision | null;
  readonly offered: readonly string[] | undefined;
  readonly onDevices: boolean;
}

/**
 * Half the memory and the traffic where the device computes in bfloat16, whose range is that of float32; float16, with
 * scaled losses, on GPUs that lack it; else float32. Pure.
 */
export function choosePrecision({ asked, offered = [], onDevices }: PrecisionQuestion): {
  precision: Precision;
  why: PlanNote;
} {
  const said = (precision: Precision, why: PlanNote): { precision: Precision; why: PlanNote } => ({ precision, why });
  if (asked !== null) return said(asked, planNote('precision-asked', { precision: asked }, 'precision'));
  if (offered.includes('bfloat16')) return said('bfloat16', planNote('precision-bfloat16', {}, 'precision'));
  if (onDevices && offered.includes('float16')) return said('float16', planNote('precision-float16', {}, 'precision'));
  return said('float32', planNote('precision-float32', {}, 'precision'));
}

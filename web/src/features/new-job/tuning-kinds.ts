import type { Inventory } from '../../lib/api/cluster';
import type { JobBody } from '../../lib/api/jobs';

type JobTuning = NonNullable<JobBody['tuning']>;
/** What is trained: an adapter beside the weights, or beside weights of few bits; all weights, or the topmost layers'. */
export type TuningKind = JobTuning['type'];

/** The usual one first. */
export const TUNING_KINDS: readonly TuningKind[] = ['lora', 'qlora', 'full', 'freeze'];

/** Whether a runtime here can do it. Everything can be chosen as long as it is not known what there is to run on. */
export function isUsable(kind: TuningKind, inventory: Inventory | undefined): boolean {
  const known = new Set(inventory?.profiles.flatMap(({ capabilities }) => capabilities.tunings));
  return known.size === 0 || known.has(kind);
}

/** The tuning of a request; undefined: the platform's own choice, which is LoRA. */
export function tuningBody(kind: TuningKind, given: Partial<JobTuning>): JobTuning | undefined {
  const { trainable_layers, ...lora } = given;
  if (kind === 'full') return { type: kind };
  if (kind === 'freeze') return { type: kind, ...(trainable_layers !== undefined && { trainable_layers }) };
  return kind === 'qlora' || Object.keys(lora).length > 0 ? { ...lora, type: kind } : undefined;
}

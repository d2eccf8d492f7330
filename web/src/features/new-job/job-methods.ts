import type { Inventory } from '../../lib/api/cluster';
import type { ValidationReport } from '../../lib/api/files';
import type { JobBody } from '../../lib/api/jobs';

export type Method = Exclude<NonNullable<JobBody['method']>['type'], 'reinforcement'>;
export type RowKind = NonNullable<ValidationReport['row_kind']>;

/** The usual one first. The platform refuses what does not fit; this offers nothing that it would refuse. */
const METHODS_FOR_ROWS: Readonly<Record<RowKind, readonly [Method, ...Method[]]>> = {
  examples: ['supervised'],
  pairs: ['dpo', 'orpo', 'simpo', 'reward'],
  ratings: ['kto'],
  text: ['pretrain'],
  prompts: ['grpo'],
};

export interface OfferedMethod {
  readonly method: Method;
  /** False: no runtime here knows it. */
  readonly usable: boolean;
}

/** The methods that learn from such rows. Everything is usable as long as it is not known what there is to run on. */
export function methodsFor(rows: RowKind, inventory: Inventory | undefined): OfferedMethod[] {
  const known = new Set(inventory?.profiles.flatMap(({ capabilities }) => capabilities.methods));
  return METHODS_FOR_ROWS[rows].map((method) => ({ method, usable: known.size === 0 || known.has(method) }));
}

/** What was chosen, as long as it fits; else the first that can be used, else the first. */
export function chosenMethod(wanted: Method | '', offered: readonly OfferedMethod[]): Method | '' {
  const usable = offered.filter((one) => one.usable);
  const fits = offered.find(({ method }) => method === wanted) ?? usable[0] ?? offered[0];
  return fits?.method ?? wanted;
}

import { first, n } from './sentences';
import type { Rule } from './sentences';
import type { Told } from './told';

const REASONS: readonly Rule[] = [
  [
    /^Comparing takes about (\d+) MiB of memory; (\d+) MiB are allowed\.$/,
    ([, needed, allowed]) => ({ key: 'notCompared.memory', mib: { needed: n(needed), allowed: n(allowed) } }),
  ],
  [
    /took more than (\d+) MiB of memory\.$/,
    ([, allowed]) => ({ key: 'notCompared.memoryTaken', mib: { allowed: n(allowed) } }),
  ],
  [/took longer than (\d+) s\.$/, ([, seconds]) => ({ key: 'notCompared.time', values: { seconds: n(seconds) } })],
  [/^An adapter of this kind/, () => ({ key: 'notCompared.adapterKind' })],
];

/** Why an export was not compared with its source. Null: the platform's sentence stands. */
export const notComparedTold = (reason: string): Told | null => first(REASONS, reason);

import type { Tuning } from '@luthier/contracts';
import { table } from '../client/table.js';
import type { MachinePlanInput, PlannedRun } from './machine-plan.js';

const TUNING_NAMES: Readonly<Record<Tuning['type'], string>> = {
  lora: 'LoRA',
  qlora: 'QLoRA, 8 bits',
  full: 'all weights',
  freeze: 'last layers',
};
const MODE_NAMES: Readonly<Record<string, string>> = {
  'whole-step': 'whole step at once',
  'layer-recompute': 'layer by layer',
};
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time in two digits or so: what is guessed is not said to the second. */
export function aboutTime(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 90 * MINUTE) return `${Math.round(seconds / MINUTE)} min`;
  if (seconds < 2 * DAY) return `${(seconds / HOUR).toFixed(1)} h`;
  return `${(seconds / DAY).toFixed(1)} days`;
}

/** What fits, as a table for people. */
export function planText(input: MachinePlanInput, runs: readonly PlannedRun[]): string {
  const { cpus, memoryMib, rows, rowTokens } = input;
  const rowsText = runs.map(({ model, tuning, plan }) => [
    model,
    TUNING_NAMES[tuning.type],
    plan.totalMib,
    plan.verdict === 'fits' ? 'yes' : 'no',
    plan.verdict === 'fits' ? (MODE_NAMES[plan.memoryMode ?? ''] ?? '') : '',
    plan.verdict === 'fits' && plan.estimatedSeconds !== null ? aboutTime(plan.estimatedSeconds) : '',
  ]);
  return [
    `A run here may take ${memoryMib} MiB on ${cpus} ${cpus === 1 ? 'core' : 'cores'}. ${rows} rows of ${rowTokens} tokens would take:`,
    '',
    table(['MODEL', 'TRAINED', 'MIB', 'FITS', 'HOW', 'ABOUT'], rowsText),
    '',
    'Times are guessed from what was measured on two cores; a job says its own after the first steps.',
  ].join('\n');
}

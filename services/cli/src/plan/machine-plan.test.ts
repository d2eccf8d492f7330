import { describe, expect, it } from '@jest/globals';
import { KNOWN_MODELS } from '@luthier/planner';
import { planMachine } from './machine-plan.js';
import type { MachinePlanInput } from './machine-plan.js';
import { aboutTime, planText } from './plan-text.js';

const machine = (change: Partial<MachinePlanInput> = {}): MachinePlanInput => ({
  models: KNOWN_MODELS,
  runtime: 'runtime-node',
  cpus: 2,
  memoryMib: 6000,
  rows: 1000,
  rowTokens: 128,
  ...change,
});
const fitting = (change: Partial<MachinePlanInput> = {}): number =>
  planMachine(machine(change)).filter(({ plan }) => plan.verdict === 'fits').length;

describe('what fits a machine', () => {
  it('says of a small one that the smallest models fit and the largest do not', () => {
    const verdicts = planMachine(machine()).filter(({ tuning }) => tuning.type === 'lora');
    expect(verdicts.at(0)).toMatchObject({ model: 'SmolLM2 135M', plan: { verdict: 'fits' } });
    expect(verdicts.at(-1)).toMatchObject({ model: 'SmolLM2 1.7B', plan: { verdict: 'can-never-fit' } });
  });

  it('grows with the memory that a run may take', () => {
    expect(fitting({ memoryMib: 500 })).toBe(0);
    expect(fitting({ memoryMib: 16_000 })).toBeGreaterThan(fitting());
  });

  it('gives no time for what cannot run', () => {
    const input = machine({ memoryMib: 500 });
    const lines = planText(input, planMachine(input)).split('\n').slice(3, -2);
    expect(lines).toHaveLength(KNOWN_MODELS.length * 3);
    expect(lines.every((line) => line.endsWith('  no'))).toBe(true);
  });

  it('takes longer for more rows and for more readings of them', () => {
    const seconds = (change: Partial<MachinePlanInput>): number =>
      planMachine(machine({ ...change, models: KNOWN_MODELS.slice(0, 1) }))[0]?.plan.estimatedSeconds ?? 0;
    expect(seconds({ epochs: 4 }) / seconds({ epochs: 2 })).toBeCloseTo(2, 1);
    expect(seconds({ rows: 2000, epochs: 2 }) / seconds({ rows: 1000, epochs: 2 })).toBeCloseTo(2, 1);
  });

  it.each([
    [0.2, '1 s'],
    [75, '75 s'],
    [1800, '30 min'],
    [9000, '2.5 h'],
    [300_000, '3.5 days'],
  ])('says %d seconds as %s', (value, text) => expect(aboutTime(value)).toBe(text));
});

import { describe, expect, it } from '@jest/globals';
import { readModelConfig } from '@luthier/formats';
import { FAMILIES, expectLikeTransformers, familyDir } from '../../../../test/fixtures/families/family-fixture.js';
import { EXECUTORS } from '../testing/executors.js';
import { rotaryFrequencies } from './rotary-table.js';

const RUNS = EXECUTORS.flatMap(([name, open]) =>
  (['whole-step', 'layer-recompute'] as const).map((memoryMode) => [name, memoryMode, open] as const),
);

describe.each(RUNS)('on %s in %s mode', (_name, memoryMode, open) => {
  it.each(FAMILIES)('logits, loss and LoRA gradients of %s are those of transformers and PEFT', async (family) =>
    expectLikeTransformers(familyDir(family), memoryMode, await open()),
  );
});

describe('rotary frequencies', () => {
  it('stretch long waves only in Llama 3, and pass from kept to stretched', async () => {
    const config = await readModelConfig(familyDir('llama3'));
    const wide = { ...config, headDim: 64, ropeTheta: 500_000 };
    const scaling = { type: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4 } as const;
    const plain = rotaryFrequencies({ ...wide, ropeScaling: { type: 'linear', factor: 1 } }, 'full');
    const found = rotaryFrequencies({ ...wide, ropeScaling: { ...scaling, originalMaxPositions: 8192 } }, 'full');
    const ratios = found.map((value, i) => (plain[i] ?? 0) / value);
    expect(ratios[0]).toBeCloseTo(1, 12);
    expect(ratios.at(-1)).toBeCloseTo(8, 12);
    expect(ratios.some((ratio) => ratio > 1.01 && ratio < 7.99)).toBe(true);
    expect(ratios).toEqual(ratios.toSorted((a, b) => a - b));
  });
});

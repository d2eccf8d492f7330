import { describe, expect, it } from '@jest/globals';
import { EarlyStopping } from './early-stopping.js';

/** Patience 2; the values trained are as many as the step. */
function after(losses: readonly number[]): { stopping: EarlyStopping; values: Float32Array } {
  const values = new Float32Array(1);
  const stopping = new EarlyStopping(2, values);
  losses.forEach((loss, i) => {
    values[0] = i + 1;
    stopping.observe(i + 1, loss);
  });
  return { stopping, values };
}

describe('early stopping', () => {
  it('is over after as many evaluations in a row as its patience, and not before', () => {
    expect(after([3, 2, 2.5, 1.9, 2]).stopping.isOver).toBe(false);
    expect(after([3, 2, 2.5, 1.9, 2, 1.9]).stopping.isOver).toBe(true);
  });

  it('takes back what was trained at the lowest loss, and says so', () => {
    const { stopping, values } = after([3, 1, 2, 2]);
    stopping.takeBest();
    expect([...values]).toEqual([2]);
    expect(stopping.outcome(4, 9)).toMatchObject({ code: 'training.ended-early' });
    expect(stopping.outcome(4, 9)?.message).toMatch(/^Ended at step 4 of 9, after 2 .* step 2 is kept.*\(1\.0000\)\.$/);
    expect(stopping.outcome(4, 4)).toMatchObject({ code: 'training.best-kept' });
  });

  it('says nothing where all steps were made and the last model is the best', () => {
    expect(after([3, 2, 1]).stopping.outcome(3, 3)).toBeUndefined();
  });

  it('never ends in silence: of losses that are no numbers it says that none was, and keeps the last model', () => {
    const { stopping, values } = after([NaN, Infinity]);
    stopping.takeBest();
    expect([stopping.isOver, ...values]).toEqual([true, 2]);
    expect(stopping.outcome(2, 9)?.message).toMatch(/^Ended at step 2 of 9.*the last model is kept.*never a finite/);
  });
});

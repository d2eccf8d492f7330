import { describe, expect, it } from '@jest/globals';
import { inventory } from '../../../dev/fixtures/inventory';
import { chosenMethod, methodsFor } from './job-methods';

describe('methods offered for a file', () => {
  it('can be used where a runtime knows them', () => {
    const usable = methodsFor('pairs', inventory).map(({ method, usable }) => [method, usable]);
    expect(usable).toEqual([
      ['dpo', true],
      ['orpo', true],
      ['simpo', false],
      ['reward', true],
    ]);
  });

  it('give the one that was chosen as long as it fits, else the first that can be used', () => {
    const offered = methodsFor('pairs', inventory);
    expect(chosenMethod('orpo', offered)).toBe('orpo');
    expect(chosenMethod('supervised', offered)).toBe('dpo');
    expect(chosenMethod('', [{ method: 'dpo', usable: false }])).toBe('dpo');
    expect(chosenMethod('kto', [])).toBe('kto');
  });
});

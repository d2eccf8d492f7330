import { expect, it } from '@jest/globals';
import { guessData } from './guess-data.js';

it.each([
  ['examples', 100, 100, 40],
  ['pairs', 100, 100, 20],
  ['ratings', 100, 100, 40],
  ['text', 2, 8, 256],
] as const)('of %s guesses what they are prepared to', (rowKind, usableRows, rows, longestRowTokens) => {
  expect(guessData({ rowKind, usableRows, characters: 8_000 }, 256)).toEqual({
    ...{ rows, longestRowTokens, tokensPerEpoch: 2_000 },
  });
});

it('is a number for a file that is not validated yet', () => {
  expect(guessData({ rowKind: null, usableRows: 0, characters: 0 }, 256)).toEqual({
    ...{ rows: 1, longestRowTokens: 16, tokensPerEpoch: 0 },
  });
});

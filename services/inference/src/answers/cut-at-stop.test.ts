import { describe, expect, it } from '@jest/globals';
import { cutAtStop } from './cut-at-stop.js';

describe('cutting at stop sequences', () => {
  it('ends before the first that occurs, whatever their order', () => {
    expect(cutAtStop('one END two\nthree', ['\n', 'END'])).toEqual({ text: 'one ', stopped: true });
    expect(cutAtStop('END', ['END'])).toEqual({ text: '', stopped: true });
  });

  it('leaves a text without any of them alone', () => {
    expect(cutAtStop('one two', ['END'])).toEqual({ text: 'one two', stopped: false });
    expect(cutAtStop('one two', [])).toEqual({ text: 'one two', stopped: false });
  });
});

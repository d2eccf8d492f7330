import { describe, expect, it } from '@jest/globals';
import { withPieces } from './live-log';

const piece = (text: string, truncated = false) => ({ text, truncated });

describe('a log that is followed', () => {
  it('grows by what comes, and says that something is left out', () => {
    const log = withPieces(piece('one\n'), [piece('two\n'), piece('three\n')]);
    expect(log).toEqual(piece('one\ntwo\nthree\n'));
    expect(withPieces(log, [piece('later\n', true)]).truncated).toBe(true);
  });

  it('keeps its end in whole lines when it becomes too long', () => {
    const line = `${'x'.repeat(99)}\n`;
    const log = withPieces(piece(line.repeat(4_000)), [piece(line.repeat(2_000))]);
    expect(log.truncated).toBe(true);
    expect(log.text.length).toBeLessThanOrEqual(500_000);
    expect(log.text.startsWith(line)).toBe(true);
    expect(log.text.endsWith(line)).toBe(true);
  });
});

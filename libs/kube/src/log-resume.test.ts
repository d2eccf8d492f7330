import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LogResume, sinceTimeOf } from './log-resume.js';
import type { LogPosition } from './log-resume.js';

const at = (nanos: number, text: string): string => {
  const seconds = String(Math.floor(nanos / 1_000_000_000)).padStart(2, '0');
  const fraction = String(nanos % 1_000_000_000)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `2026-01-01T00:00:${seconds}${fraction === '' ? '' : `.${fraction}`}Z ${text}`;
};

describe('LogResume', () => {
  it('hands out every line once however often the stream is cut, also lines of one nanosecond', () => {
    const gap = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 700_000_000 }));
    fc.assert(
      fc.property(fc.array(gap, { maxLength: 40 }), fc.array(fc.nat(40), { maxLength: 8 }), (gaps, cuts) => {
        let nanos = 0;
        const lines = gaps.map((one, index) => ({ nanos: (nanos += one), text: `line ${index}` }));
        let position: LogPosition | undefined;
        const found: string[] = [];
        for (const readable of [...cuts, lines.length]) {
          const since = position && sinceTimeOf(position);
          const resume = new LogResume(position);
          // The API goes on from the whole second.
          const from = since === undefined ? 0 : Number(since.slice(17, 19)) * 1_000_000_000;
          const offered = lines.slice(0, Math.max(readable, found.length)).filter((line) => line.nanos >= from);
          for (const line of offered) {
            const fresh = resume.accept(at(line.nanos, line.text));
            if (fresh !== undefined) found.push(fresh);
          }
          position = resume.position;
        }
        expect(found).toEqual(lines.map(({ text }) => text));
      }),
    );
  });

  it('compares times of other zones and other lengths by the moment', () => {
    const before = new LogResume();
    expect(before.accept('2026-01-01T01:00:00.5+01:00 first')).toBe('first');
    const resume = new LogResume(before.position);
    expect(resume.accept('2026-01-01T00:00:00.500Z first')).toBeUndefined();
    expect(resume.accept('2026-01-01T00:00:00.500000001Z second')).toBe('second');
    expect(resume.position && sinceTimeOf(resume.position)).toBe('2026-01-01T00:00:00Z');
  });

  it('hands out a line without a time', () => {
    expect(new LogResume().accept('failed to read')).toBe('failed to read');
  });
});

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LineSplitter } from './line-splitter.js';

describe('LineSplitter', () => {
  it('gives the same lines however the bytes are cut into chunks', () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => text.replace(/[\r\n]/g, ''));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat(20), { maxLength: 60 }), (lines, sizes) => {
        const bytes = Buffer.from(lines.map((one) => `${one}\n`).join(''));
        const splitter = new LineSplitter(1_000);
        const found: string[] = [];
        let at = 0;
        for (const size of sizes) {
          found.push(...splitter.push(bytes.subarray(at, at + size)));
          at += size;
        }
        found.push(...splitter.push(bytes.subarray(at)));
        expect(found).toEqual(lines);
        expect(splitter.end()).toBeUndefined();
      }),
    );
  });

  it('refuses a line beyond its bound before it has all arrived', () => {
    const splitter = new LineSplitter(10);
    expect(splitter.push(Buffer.from('0123456789\n01234'))).toEqual(['0123456789']);
    expect(() => splitter.push(Buffer.from('567890'))).toThrow('a line is longer than 10 bytes');
  });
});

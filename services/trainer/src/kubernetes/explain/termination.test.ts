import { describe, expect, it } from '@jest/globals';
import { excerptOf } from './excerpt.js';
import { readGpuFault, readLastWords } from './termination.js';

describe('last words of a process', () => {
  it('are read as the agreed JSON, unknown fields left aside', () => {
    expect(readLastWords('{"code":"data.bad","message":"Row 3","step":2,"peakMemMiB":9}')).toEqual({
      code: 'data.bad',
      message: 'Row 3',
      step: 2,
    });
  });
  it.each([
    ['the end of a log', 'Traceback (most recent call last)'],
    ['a cut object', '{"code":"data.bad","mess'],
    ['another object', '{"exit":1}'],
    ['no object', '[1]'],
    ['nothing', ''],
    ['more than 4 KiB', JSON.stringify({ message: 'é'.repeat(2_100) })],
  ])('that are %s are none', (_name, text) => {
    expect(readLastWords(text)).toBeUndefined();
  });
  it('with a field of a wrong kind keep the others', () => {
    expect(readLastWords('{"code":"no.such","message":"M","step":-1}')).toEqual({ message: 'M' });
  });
});

describe('a fault of the device', () => {
  it.each([
    'CUDA error: unspecified launch failure',
    'Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost',
    'CUDA error: uncorrectable NVLink error',
  ])('is seen in "%s"', (text) => {
    expect(readGpuFault(text)).toBeDefined();
  });
  it.each([
    'CUDA error: out of memory',
    'CUDA error: device-side assert triggered',
    'CUDA error: invalid device ordinal',
    'NVRM: Xid (PCI:0000:3b:00): 31, pid=1',
    'boom',
  ])('is not seen in "%s"', (text) => {
    expect(readGpuFault(text)).toBeUndefined();
  });
});

describe('an excerpt', () => {
  it('has no control characters but line ends', () => {
    expect(excerptOf('\u001b[31mred\u001b[0m\u0000 a\tb\r\nc\u202e\u0007')).toBe('red a b\nc');
  });
  it('is at most 1 KiB, cut between characters, from the end when that tells more', () => {
    const long = 'é'.repeat(2_000);
    for (const keep of ['start', 'end'] as const) {
      const excerpt = excerptOf(long, keep) ?? '';
      expect(Buffer.byteLength(excerpt)).toBeLessThanOrEqual(1_024);
      expect(Buffer.byteLength(excerpt)).toBeGreaterThan(1_000);
      expect(excerpt).not.toContain('\ufffd');
    }
    expect(excerptOf(`start ${long} end`, 'end')?.endsWith('end')).toBe(true);
  });
  it('of nothing is none', () => {
    expect(excerptOf(' \u0000\n')).toBeUndefined();
    expect(excerptOf(undefined)).toBeUndefined();
  });
});

import { describe, expect, it } from '@jest/globals';
import { startTicksOf } from './process-identity.js';

/** A line of `/proc/<pid>/stat`, whose name ends other names that one could fall for. */
const line = (state: string, threads: number): string =>
  `4711 (a) Z 1 (b) ${state} 1 4711 4711 0 -1 4194560 90 0 0 0 7 3 0 0 20 0 ${threads} 0 98765 1000 20 0 0 0\n`;

describe('a process in the process table', () => {
  it.each([
    ['sleeps', 'S', 1],
    ['runs with many threads', 'R', 12],
    ['lost its first thread, while others hold its files and ports', 'Z', 2],
  ])('lives while it %s', (_what, state, threads) => {
    expect(startTicksOf(line(state, threads))).toBe('98765');
  });

  it.each([
    ['is only waited for', line('Z', 1)],
    ['is being taken out', line('X', 1)],
    ['is not there', ''],
  ])('is gone when it %s', (_what, stat) => {
    expect(startTicksOf(stat)).toBeUndefined();
  });
});

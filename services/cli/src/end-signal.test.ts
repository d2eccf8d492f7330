import { afterEach, describe, expect, it } from '@jest/globals';
import { EndAsked, endSignal, unlessEnded, untilAborted } from './end-signal.js';

afterEach(() => {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(name);
});

describe('endSignal', () => {
  it('is aborted by a signal that comes while work goes on, and breaks the waiting for it off', async () => {
    let told = 0;
    const signal = endSignal(() => (told += 1));
    const work = unlessEnded(signal, new Promise<never>(() => undefined));
    process.emit('SIGTERM');
    await expect(work).rejects.toBeInstanceOf(EndAsked);
    await untilAborted(signal);
    expect(told).toBe(1);
  });

  it('leaves work alone that ends by itself', async () => {
    await expect(unlessEnded(endSignal(), Promise.resolve(7))).resolves.toBe(7);
  });
});

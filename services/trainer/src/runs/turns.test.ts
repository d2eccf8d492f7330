import { expect, it } from '@jest/globals';
import { setImmediate } from 'node:timers/promises';
import { Turns } from './turns.js';

it('never lets more go on at once than allowed, loses none, and goes on after one that failed', async () => {
  const turns = new Turns(3);
  let now = 0;
  let most = 0;
  const order: number[] = [];
  const work = (index: number): Promise<void> =>
    turns.take(async () => {
      order.push(index);
      most = Math.max(most, ++now);
      await Promise.resolve();
      now -= 1;
      if (index % 4 === 0) throw new Error('failed');
    });
  const ends = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => work(index)));
  expect(most).toBe(3);
  expect(order).toEqual(Array.from({ length: 20 }, (_, index) => index));
  expect(ends.filter(({ status }) => status === 'rejected')).toHaveLength(5);
});

it('lets through what comes from outside while thousands of quick pieces wait', async () => {
  const turns = new Turns(10);
  let done = 0;
  const all = Promise.all(Array.from({ length: 1_000 }, () => turns.take(() => Promise.resolve(done++))));
  const seen: number[] = [];
  while (done < 1_000) {
    await setImmediate();
    seen.push(done);
  }
  await all;
  const steps = seen.map((count, index) => count - (seen[index - 1] ?? 0));
  expect(Math.max(...steps)).toBeLessThanOrEqual(20);
});

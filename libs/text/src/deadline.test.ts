import { expect, it } from '@jest/globals';
import { MessageChannel } from 'node:worker_threads';
import { Deadline } from './deadline.js';

/** This thread does nothing else meanwhile: no message is read, no timer fires. */
const block = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

/** What is seen first, when a message is sent and then this thread is kept busy past the limit. */
async function firstSeen(send: boolean): Promise<string> {
  const { port1, port2 } = new MessageChannel();
  const deadline = new Deadline();
  try {
    return await new Promise<string>((resolve) => {
      port2.on('message', () => {
        deadline.clear();
        setImmediate(() => setImmediate(resolve, 'the answer'));
      });
      deadline.set(1, () => resolve('lateness'));
      if (send) port1.postMessage('answer');
      block(20);
    });
  } finally {
    port1.close();
  }
}

it('an answer that came in time is taken, however late this thread comes to read it', async () => {
  for (let round = 0; round < 10; round += 1) expect(await firstSeen(true)).toBe('the answer');
});

it('an answer that did not come is late, once', async () => {
  expect(await firstSeen(false)).toBe('lateness');
  const deadline = new Deadline();
  let late = 0;
  await new Promise<void>((resolve) => {
    deadline.set(1, () => (late += 10));
    deadline.set(1, () => resolve(void (late += 1)));
  });
  expect([late, deadline.isSet]).toEqual([1, false]);
});

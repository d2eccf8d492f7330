import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { LookQueue } from './look-queue.js';

interface Seen {
  runId: string;
  byList: boolean;
  end: (waitMs?: number) => Promise<void>;
  fail: (cause: Error) => Promise<void>;
}

describe('LookQueue', () => {
  let seen: Seen[];
  let faults: unknown[];
  let queue: LookQueue;
  beforeEach(() => {
    jest.useFakeTimers();
    seen = [];
    faults = [];
    queue = new LookQueue({
      look: (runId, { byList }) =>
        new Promise((resolve, reject) => {
          const settled = (): Promise<void> => jest.advanceTimersByTimeAsync(0).then(() => undefined);
          seen.push({
            ...{ runId, byList },
            end: (waitMs) => (resolve(waitMs), settled()),
            fail: (cause) => (reject(cause), settled()),
          });
        }),
      onFault: (_runId, cause) => (faults.push(cause), Promise.resolve()),
      atOnce: 2,
    });
  });
  afterEach(() => void jest.useRealTimers());

  it('looks once more, and only once, when anything was told during a look', async () => {
    queue.ask('a');
    for (let times = 0; times < 3; times++) queue.ask('a');
    expect(seen).toHaveLength(1);
    await seen[0]?.end();
    expect(seen).toHaveLength(2);
    await seen[1]?.end();
    expect(seen).toHaveLength(2);
  });

  it.each(Array.from({ length: 12 }, (_, turns) => turns))(
    'misses nothing that is told %d turns of the microtask queue after a look has its answer',
    async (turns) => {
      const answers: PromiseWithResolvers<number>[] = [];
      const look = (): Promise<number> => {
        const answer = Promise.withResolvers<number>();
        answers.push(answer);
        return answer.promise;
      };
      queue = new LookQueue({ look, onFault: () => Promise.resolve(), atOnce: 2 });
      queue.ask('a');
      answers[0]?.resolve(600_000);
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      queue.ask('a');
      await jest.advanceTimersByTimeAsync(0);
      expect(answers).toHaveLength(2);
    },
  );

  it('looks at no more than so many runs at once, in the order in which they were told', async () => {
    for (const runId of ['a', 'b', 'c']) queue.ask(runId);
    expect(seen.map(({ runId }) => runId)).toEqual(['a', 'b']);
    await seen[1]?.end();
    expect(seen.map(({ runId }) => runId)).toEqual(['a', 'b', 'c']);
  });

  it('looks again when the look has said so, sooner when something is told, never twice for both', async () => {
    queue.ask('a');
    await seen[0]?.end(5_000);
    await jest.advanceTimersByTimeAsync(4_999);
    expect(seen).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(1);
    expect(seen).toHaveLength(2);
    await seen[1]?.end(5_000);
    queue.ask('a');
    await seen[2]?.end();
    await jest.advanceTimersByTimeAsync(60_000);
    expect(seen).toHaveLength(3);
  });

  it('repeats a look that failed, later and later, and at once again after one that did not', async () => {
    queue.ask('a');
    const pauses = [1_000, 2_000, 4_000, 8_000, 10_000, 10_000];
    for (const [index, pauseMs] of pauses.entries()) {
      await seen[index]?.fail(new Error(`no. ${index}`));
      await jest.advanceTimersByTimeAsync(pauseMs - 1);
      expect(seen).toHaveLength(index + 1);
      await jest.advanceTimersByTimeAsync(1);
      expect(seen).toHaveLength(index + 2);
    }
    expect(faults).toHaveLength(pauses.length);
    await seen.at(-1)?.end();
    queue.ask('a');
    await seen.at(-1)?.fail(new Error('again'));
    await jest.advanceTimersByTimeAsync(1_000);
    expect(seen).toHaveLength(pauses.length + 3);
  });

  it('knows of the list as a cause only for the look that nothing else asked for', async () => {
    queue.ask('a', true);
    queue.ask('a');
    await seen[0]?.end();
    await seen[1]?.end();
    expect(seen.map(({ byList }) => byList)).toEqual([true, false]);
  });

  it('takes no look any more once it is stopped, and waits for the one that goes on', async () => {
    queue.ask('a');
    queue.ask('b');
    await seen[1]?.end(10);
    const stopped = queue.stop();
    queue.ask('c');
    await seen[0]?.end(10);
    await stopped;
    await jest.advanceTimersByTimeAsync(60_000);
    expect(seen).toHaveLength(2);
  });

  it('does not look at a forgotten run when its time comes', async () => {
    queue.ask('a');
    await seen[0]?.end(5_000);
    queue.forget('a');
    await jest.advanceTimersByTimeAsync(60_000);
    expect(seen).toHaveLength(1);
  });
});

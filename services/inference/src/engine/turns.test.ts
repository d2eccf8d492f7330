import { describe, expect, it } from '@jest/globals';
import { Turns } from './turns.js';

/** A task that ends when told. */
function gate(): { task: () => Promise<string>; started: () => boolean; open: () => void } {
  let [running, open] = [false, (): void => undefined];
  const opened = new Promise<void>((resolve) => (open = resolve));
  return {
    task: async () => {
      running = true;
      await opened;
      return 'done';
    },
    started: () => running,
    open: () => open(),
  };
}
const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('turns', () => {
  it('let one task in at a time, in the order they came', async () => {
    const turns = new Turns(10);
    let inside = 0;
    const order: number[] = [];
    await Promise.all(
      [1, 2, 3, 4].map((n) =>
        turns.take(async () => {
          expect(++inside).toBe(1);
          await soon();
          inside -= 1;
          order.push(n);
        }),
      ),
    );
    expect(order).toEqual([1, 2, 3, 4]);
  });

  it('go on after a task that failed, and give its failure to its own caller only', async () => {
    const turns = new Turns(10);
    const failing = turns.take(() => Promise.reject(new Error('broken')));
    const next = turns.take(() => Promise.resolve('fine'));
    await expect(failing).rejects.toThrow('broken');
    expect(await next).toBe('fine');
  });

  it('refuse beyond the bound with a clear answer, and let in again once there is room', async () => {
    const turns = new Turns(2);
    const [first, second] = [gate(), gate()];
    const running = [turns.take(first.task), turns.take(second.task)];
    await expect(turns.take(() => Promise.resolve(1))).rejects.toMatchObject({ code: 'request.rate-limited' });
    expect(turns.length).toBe(2);
    first.open();
    second.open();
    await Promise.all(running);
    expect(turns.length).toBe(0);
    expect(await turns.take(() => Promise.resolve(1))).toBe(1);
  });

  it('tidy up only when nobody is there', async () => {
    const turns = new Turns(1);
    let tidied = 0;
    const tidy = (): Promise<void> => turns.tidy(async () => void (tidied += 1));
    const busy = gate();
    const running = turns.take(busy.task);
    await tidy(); // the queue is full: neither refused with an error nor waited for
    expect(tidied).toBe(0);
    busy.open();
    await running;
    await tidy();
    expect(tidied).toBe(1);
  });

  it('end after the running task, refuse whoever waits or comes, even when the queue is full', async () => {
    const turns = new Turns(2);
    const busy = gate();
    const running = turns.take(busy.task);
    const waiting = turns.take(() => Promise.resolve('never'));
    await soon();
    let ended = false;
    const closing = turns.close(async () => void (ended = true));
    await expect(turns.take(() => Promise.resolve(1))).rejects.toMatchObject({ code: 'service.unavailable' });
    await soon();
    expect([busy.started(), ended]).toEqual([true, false]);
    busy.open();
    expect(await running).toBe('done');
    await expect(waiting).rejects.toMatchObject({ code: 'service.unavailable' });
    await closing;
    expect(ended).toBe(true);
    await turns.tidy(() => Promise.reject(new Error('must not run')));
  });
});

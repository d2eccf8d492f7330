import { describe, expect, it } from '@jest/globals';
import { ThreadAllowance, readCpuTimes } from './thread-allowance.js';

/** A machine on which this process and others use so many cores. */
class Machine {
  private times = { nowMs: 0, busyMs: 0, ownMs: 0 };
  readonly read = () => this.times;

  pass(ms: number, cores: { own: number; others: number }): void {
    const { nowMs, busyMs, ownMs } = this.times;
    this.times = {
      nowMs: nowMs + ms,
      busyMs: busyMs + ms * (cores.own + cores.others),
      ownMs: ownMs + ms * cores.own,
    };
  }
}

describe('the threads for generating', () => {
  it('are all cores only after two seconds without others, and one less as soon as others work', () => {
    const machine = new Machine();
    const allowance = new ThreadAllowance(4, machine.read);
    const after = (own: number, others: number): number => {
      machine.pass(1_000, { own, others });
      allowance.look();
      return allowance.threads;
    };
    expect(allowance.threads).toBe(3);
    expect([after(3, 0), after(3, 0.1)]).toEqual([3, 4]);
    expect([after(4, 0.1), after(2.5, 1.5)]).toEqual([4, 3]);
    expect([after(3, 1), after(3, 0.05), after(3, 0.05)]).toEqual([3, 3, 4]);
  });

  it('begin with one less when what was seen is old', () => {
    const machine = new Machine();
    const allowance = new ThreadAllowance(2, machine.read);
    for (let i = 0; i < 3; i += 1) {
      machine.pass(1_000, { own: 1, others: 0 });
      allowance.look();
    }
    expect(allowance.threads).toBe(2);
    machine.pass(60_000, { own: 0, others: 2 });
    allowance.forget();
    expect(allowance.threads).toBe(1);
    machine.pass(50, { own: 1, others: 0 }); // too short to say anything
    allowance.look();
    allowance.look();
    expect(allowance.threads).toBe(1);
  });

  it('are at least one', () => {
    expect(new ThreadAllowance(1).threads).toBe(1);
  });
});

describe('the times of the processors', () => {
  it('grow, those of this process and those of all, while this process works', () => {
    const before = readCpuTimes();
    let after = before;
    while (after.ownMs - before.ownMs < 200) after = readCpuTimes();
    // By how much is not compared: time that a virtual machine was refused may count as ours, and as nobody's work.
    expect(after.busyMs).toBeGreaterThan(before.busyMs);
  });
});

import { availableParallelism, cpus } from 'node:os';

/** Processor time of this machine since some moment, in ms; all cores together. */
export interface CpuTimes {
  nowMs: number;
  /** All processes. */
  busyMs: number;
  /** This process with all its threads. */
  ownMs: number;
}

export function readCpuTimes(): CpuTimes {
  const own = process.cpuUsage();
  return {
    nowMs: performance.now(),
    busyMs: cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0),
    ownMs: (own.user + own.system) / 1_000,
  };
}

/** Others that use more cores than this are at work: a training step is never below it, idle servers always are. */
const OTHERS_CORES_MAX = 0.25;
const QUIET_LOOKS = 2;
/** The kernel counts in ticks of 10 ms: what is shorter says nothing. */
const LOOK_APART_MIN_MS = 200;

/**
 * How many threads may generate: all cores while nothing else works on this machine, else one less. llama.cpp's threads
 * wait for each other by spinning, so with all cores beside a training run both become many times slower. It looks at
 * the machine instead of asking who trains: what counts is a run on this machine, whoever started it.
 */
export class ThreadAllowance {
  private quietLooks = 0;
  private last: CpuTimes;

  constructor(
    readonly most = availableParallelism(),
    private readonly read: () => CpuTimes = readCpuTimes,
  ) {
    this.last = read();
  }

  get threads(): number {
    return this.quietLooks >= QUIET_LOOKS ? this.most : Math.max(1, this.most - 1);
  }

  /** To be called about every second while answers are generated; only then the time between two looks means something. */
  look(): void {
    const now = this.read();
    const apartMs = now.nowMs - this.last.nowMs;
    if (apartMs < LOOK_APART_MIN_MS) return;
    const othersCores = (now.busyMs - this.last.busyMs - (now.ownMs - this.last.ownMs)) / apartMs;
    this.last = now;
    this.quietLooks = othersCores > OTHERS_CORES_MAX ? 0 : this.quietLooks + 1;
  }

  /** What was seen is old: the next look begins anew. */
  forget(): void {
    this.quietLooks = 0;
    this.last = this.read();
  }
}

import { Turns } from './turns.js';

export interface Look {
  /** Only the periodic list asked for it. */
  byList: boolean;
}

export interface LookQueueParts {
  /** One look. @returns when to look again although nothing has changed, in ms. */
  look: (runId: string, look: Look) => Promise<number | undefined>;
  /** Told of a look that failed; it is repeated. */
  onFault: (runId: string, cause: unknown) => Promise<void>;
  /** Runs that are looked at at a time. */
  atOnce: number;
}

const FIRST_RETRY_MS = 1_000;
/** What stays broken is tried less and less often, but never much later than it is mended. */
const MAX_RETRY_MS = 10_000;
const MAX_TIMER_MS = 24 * 60 * 60 * 1_000;

interface Work {
  running: boolean;
  /** Asked for since the newest look began. */
  again: boolean;
  byList: boolean;
  /** Looks in a row that failed. */
  failures: number;
  timer?: NodeJS.Timeout;
}

/** Who is looked at when: never twice at the same time, again when something has changed meanwhile, later when a look failed. */
export class LookQueue {
  private readonly works = new Map<string, Work>();
  private readonly busy = new Set<Promise<void>>();
  private readonly turns: Turns;
  private ended = false;

  constructor(private readonly parts: LookQueueParts) {
    this.turns = new Turns(parts.atOnce);
  }

  /** Looks at a run now, or again when that is going on. */
  ask(runId: string, byList = false): void {
    if (this.ended) return;
    const work = this.works.get(runId) ?? { running: false, again: false, byList: false, failures: 0 };
    this.works.set(runId, work);
    cancelTimer(work);
    work.again = true;
    if (work.running) return;
    work.running = true;
    work.byList = byList;
    const done = this.turns.take(() => this.lookUntilCalm(runId, work)).finally(() => this.busy.delete(done));
    this.busy.add(done);
  }

  /** Nothing is asked of this run any more, unless somebody asks anew. */
  forget(runId: string): void {
    const work = this.works.get(runId);
    if (!work) return;
    cancelTimer(work);
    if (!work.running) this.works.delete(runId);
  }

  /** Takes no new look; returns when the running ones are done. */
  async stop(): Promise<void> {
    this.ended = true;
    for (const work of this.works.values()) cancelTimer(work);
    await Promise.all(this.busy);
  }

  private async lookUntilCalm(runId: string, work: Work): Promise<void> {
    try {
      while (work.again && !this.ended) {
        work.again = false;
        cancelTimer(work);
        await this.lookOnce(runId, work);
      }
    } finally {
      // In one breath with the last look at `again`: whoever asks from now on begins anew, nobody is missed.
      work.running = false;
      if (work.timer === undefined) this.works.delete(runId);
    }
  }

  private async lookOnce(runId: string, work: Work): Promise<void> {
    try {
      const waitMs = await this.parts.look(runId, { byList: work.byList });
      work.failures = 0;
      if (waitMs !== undefined) this.askIn(runId, work, waitMs);
    } catch (cause) {
      await this.parts.onFault(runId, cause);
      this.askIn(runId, work, Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** work.failures++));
    }
    work.byList = false;
  }

  private askIn(runId: string, work: Work, waitMs: number): void {
    if (this.ended) return;
    work.timer = setTimeout(() => this.ask(runId), Math.min(Math.max(waitMs, 10), MAX_TIMER_MS));
    work.timer.unref();
  }
}

function cancelTimer(work: Work): void {
  clearTimeout(work.timer);
  delete work.timer;
}

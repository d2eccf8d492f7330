import type { MessageBus } from '@luthier/messaging';

export interface Sign {
  /** Of the last line of any kind. */
  lineMs: number;
  /** Of the last finished step. */
  stepMs: number;
  longestStepMs: number;
}

/**
 * When each run was last heard of, by whichever replica of the run endpoint. Silence counts only from when this trainer
 * began to listen: what it could not hear is not held against a run.
 */
export class LastSigns {
  private readonly signs = new Map<string, Sign>();
  private readonly end: () => void;
  private listeningSinceMs: number;

  constructor(
    bus: Pick<MessageBus, 'onRunLine'>,
    private readonly now: () => number = Date.now,
  ) {
    this.listeningSinceMs = now();
    this.end = bus.onRunLine(({ runId, type }) => this.hear(runId, type));
  }

  /** From now on, as when this replica has just become the one that decides. */
  restart(): void {
    this.listeningSinceMs = this.now();
    this.signs.clear();
  }

  of(runId: string): Sign {
    return this.signs.get(runId) ?? { lineMs: this.listeningSinceMs, stepMs: this.listeningSinceMs, longestStepMs: 0 };
  }

  forget(runId: string): void {
    this.signs.delete(runId);
  }

  close(): void {
    this.end();
  }

  private hear(runId: string, type: string): void {
    // What the cluster says of a run is no sign of its life.
    if (type === 'cluster-event') return;
    const now = this.now();
    const before = this.of(runId);
    const isStep = type === 'step';
    // Saving and scoring make no steps but say so.
    const advances =
      isStep || type === 'phase' || type === 'evaluation' || type === 'checkpoint-stored' || type === 'started';
    this.signs.set(runId, {
      lineMs: now,
      stepMs: advances ? now : before.stepMs,
      longestStepMs: isStep ? Math.max(before.longestStepMs, now - before.stepMs) : before.longestStepMs,
    });
  }
}

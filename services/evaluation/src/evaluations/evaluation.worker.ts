import { setTimeout } from 'node:timers/promises';
import { AppError } from '@luthier/contracts';
import type { EvaluationRecord } from '@luthier/contracts';
import { logWideEvent } from '@luthier/service-kit';
import type { Logger } from '@luthier/service-kit';
import { Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { AnswerCollector } from './answer-collector.js';
import { EvaluationStore } from './evaluation.store.js';
import type { StoredEvaluation } from './evaluation.store.js';
import { measure, samplesToKeep } from './measure.js';
import { judge } from './verdict.js';

const LOOK_EVERY_MS = 5_000;

export interface WorkerSettings {
  /** Pause before a passing fault is tried again. */
  retryPauseMs: number;
  /** A passing fault (a service that restarts) is waited for this long after the last answer that was kept. */
  patienceMs: number;
}

/** Works off evaluations one after the other; what a crash interrupted is taken up again at the next start. */
@Injectable()
export class EvaluationWorker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private working: Promise<void> | undefined;
  private wokenAgain = false;
  private readonly stopping = new AbortController();

  constructor(
    private readonly store: EvaluationStore,
    private readonly collector: AnswerCollector,
    private readonly logger: Logger,
    private readonly settings: WorkerSettings,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.wake(), LOOK_EVERY_MS);
    this.wake();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    this.stopping.abort();
    await this.working;
  }

  wake(): void {
    if (this.stopping.signal.aborted) return;
    this.wokenAgain = true;
    this.working ??= this.workOff()
      .catch((cause: unknown) =>
        this.logger.error({ err: cause }, 'The evaluation worker stumbled; it looks again soon'),
      )
      .finally(() => (this.working = undefined));
  }

  private async workOff(): Promise<void> {
    while (!this.stopping.signal.aborted && this.wokenAgain) {
      this.wokenAgain = false;
      for (let next = await this.store.nextUnfinished(); next; next = await this.store.nextUnfinished()) {
        if (this.stopping.signal.aborted) return;
        await this.workOn(next);
      }
    }
  }

  private async workOn(evaluation: StoredEvaluation): Promise<void> {
    const startedMs = performance.now();
    const ended = await this.tryUntilItHolds(evaluation);
    if (!ended) return; // stopping: the next start goes on; or deleted
    if (!(await this.store.finish(ended))) return; // deleted meanwhile
    logWideEvent(this.logger, {
      op: 'evaluation',
      ok: ended.state === 'completed',
      durationMs: Math.round(performance.now() - startedMs),
      ...(ended.error && { 'error.code': ended.error.code }),
      jobId: ended.jobId,
    });
  }

  private async tryUntilItHolds({ request, record }: StoredEvaluation): Promise<EvaluationRecord | undefined> {
    let lastProgressMs = performance.now();
    const onProgress = (): void => void (lastProgressMs = performance.now());
    for (;;) {
      try {
        const answered = await this.collector.collect(request, record, this.stopping.signal, onProgress);
        if (!answered) return undefined;
        const measures = measure(answered, { base: request.base, tuned: request.tuned });
        const progress = { done: answered.length * 2, total: answered.length * 2 };
        return {
          ...record,
          ...measures,
          ...judge(measures),
          samples: samplesToKeep(measures.samples),
          progress,
          state: 'completed',
          finishedAt: new Date().toISOString(),
        };
      } catch (thrown) {
        const fault = AppError.from(thrown);
        if (this.stopping.signal.aborted) return undefined;
        if (!fault.retryable || performance.now() > lastProgressMs + this.settings.patienceMs) {
          if (fault.code === 'internal')
            this.logger.error({ err: fault.cause, jobId: record.jobId }, 'An evaluation failed');
          return failed(record, fault);
        }
        await pause(this.settings.retryPauseMs, this.stopping.signal);
      }
    }
  }
}

const failed = (record: EvaluationRecord, fault: AppError): EvaluationRecord => ({
  ...record,
  state: 'failed',
  finishedAt: new Date().toISOString(),
  error: { code: fault.code, message: fault.message, hint: fault.hint },
});

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  setTimeout(ms, undefined, { signal, ref: false }).catch(() => undefined);

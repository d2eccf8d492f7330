import { AppError } from '@luthier/contracts';
import type { EvaluationRecord } from '@luthier/contracts';
import { LOGGER, logWideEvent } from '@luthier/service-kit';
import type { Logger } from '@luthier/service-kit';
import { Inject, Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { AnswerCollector } from './answer-collector.js';
import { EvaluationStore } from './evaluation.store.js';
import type { StoredEvaluation } from './evaluation.store.js';
import { measure } from './measure.js';
import { judge } from './verdict.js';

const LOOK_EVERY_MS = 5_000;
const RETRY_PAUSE_MS = 2_000;
/** A passing fault (a service that restarts) is waited for this long. */
const PATIENCE_MS = 120_000;

/** Works off evaluations one after the other; what a crash interrupted is taken up again at the next start. */
@Injectable()
export class EvaluationWorker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private working: Promise<void> | undefined;
  private readonly stopping = new AbortController();

  constructor(
    private readonly store: EvaluationStore,
    private readonly collector: AnswerCollector,
    @Inject(LOGGER) private readonly logger: Logger,
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
    if (this.working || this.stopping.signal.aborted) return;
    this.working = this.workOff()
      .catch((cause: unknown) =>
        this.logger.error({ err: cause }, 'The evaluation worker stumbled; it looks again soon'),
      )
      .finally(() => (this.working = undefined));
  }

  private async workOff(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const next = await this.store.nextUnfinished();
      if (!next) return;
      await this.workOn(next);
    }
  }

  private async workOn(evaluation: StoredEvaluation): Promise<void> {
    const startedMs = performance.now();
    const ended = await this.tryUntilItHolds(evaluation);
    if (!ended) return; // stopping: the next start goes on
    await this.store.finish(ended);
    logWideEvent(this.logger, {
      op: 'evaluation',
      ok: ended.state === 'completed',
      durationMs: Math.round(performance.now() - startedMs),
      ...(ended.error && { 'error.code': ended.error.code }),
      jobId: ended.jobId,
    });
  }

  private async tryUntilItHolds({ request, record }: StoredEvaluation): Promise<EvaluationRecord | undefined> {
    const giveUpMs = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        const answered = await this.collector.collect(request, record, this.stopping.signal);
        if (!answered) return undefined;
        const measures = measure(answered, { base: request.base, tuned: request.tuned });
        const progress = { done: answered.length * 2, total: answered.length * 2 };
        return {
          ...record,
          ...measures,
          ...judge(measures),
          progress,
          state: 'completed',
          finishedAt: new Date().toISOString(),
        };
      } catch (thrown) {
        const fault = AppError.from(thrown);
        if (this.stopping.signal.aborted) return undefined;
        if (!fault.retryable || performance.now() > giveUpMs) {
          if (fault.code === 'internal')
            this.logger.error({ err: fault.cause, jobId: record.jobId }, 'An evaluation failed');
          return failed(record, fault);
        }
        await pause(RETRY_PAUSE_MS, this.stopping.signal);
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
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });

import type { FileRecord, ValidationReport } from '@luthier/contracts';
import { AppError } from '@luthier/contracts';
import { JSON_ARRAY_BYTES_MAX } from '@luthier/formats';
import type { Logger, ServiceMetrics } from '@luthier/service-kit';
import { startWorker } from '@luthier/service-kit/worker';
import { Counter, Histogram } from 'prom-client';
import { outlastOutage } from '../store-outage.js';
import { WorkQueue } from '../work-queue.js';
import type { FileStore } from './file.store.js';
import type { ValidationInput } from './validation.worker.js';

const TOGETHER_MAX = 2;
/** Lines are looked at one by one; a JSON array, which is in memory whole, can only be in a file up to its limit. */
const LINES_HEAP_MIB = 96;
const ARRAY_HEAP_MIB = 768;
/** A thread that died is started again; a file that kills it every time gets an error. */
const TRIES_MAX = 3;

export type ValidateFile = (file: FileRecord, signal: AbortSignal) => Promise<ValidationReport>;

/** Validates a stored file in a thread of its own. */
export const validateInWorker =
  (artifactsUrl: string): ValidateFile =>
  ({ id, uri, sizeBytes }, signal) => {
    const data: ValidationInput = { artifactsUrl, fileId: id, uri };
    const heapMib = sizeBytes > JSON_ARRAY_BYTES_MAX ? LINES_HEAP_MIB : ARRAY_HEAP_MIB;
    return startWorker({ entry: new URL('./validation.worker.js', import.meta.url), data, signal, heapMib });
  };

/** Validates files in the background; what a restart interrupted is begun again. */
export class Validator {
  private readonly queue: WorkQueue;
  private readonly duration: Histogram;
  private readonly rows: Counter<'usable'>;

  constructor(
    private readonly store: FileStore,
    private readonly validate: ValidateFile,
    private readonly logger: Logger,
    metrics: ServiceMetrics,
  ) {
    this.queue = new WorkQueue(TOGETHER_MAX, logger);
    const registers = [metrics.registry];
    this.duration = new Histogram({
      name: 'luthier_datasets_validation_duration_seconds',
      help: 'Time to validate a file.',
      buckets: [0.05, 0.25, 1, 5, 30, 120, 600],
      registers,
    });
    this.rows = new Counter({
      name: 'luthier_datasets_validated_rows_total',
      help: 'Rows looked at, by whether they can be used.',
      labelNames: ['usable'],
      registers,
    });
  }

  async start(): Promise<void> {
    for (const file of await this.store.unvalidated()) this.enqueue(file);
  }

  stop(): Promise<void> {
    return this.queue.stop();
  }

  enqueue(file: FileRecord): void {
    this.queue.add(file.id, () => this.run(file));
  }

  private async run(file: FileRecord): Promise<void> {
    const stopTimer = this.duration.startTimer();
    const report = await this.reportOf(file);
    const usable = report.usableRows > 0;
    const first = report.issues[0];
    const details = usable ? null : `No row can be used. ${first ? `${first.message} ${first.hint}` : ''}`.trim();
    await this.store.finish(file.id, usable ? 'processed' : 'error', details, report);
    const durationMs = Math.round(stopTimer() * 1_000);
    this.rows.inc({ usable: 'true' }, report.usableRows);
    this.rows.inc({ usable: 'false' }, report.rows - report.usableRows);
    const { rows, usableRows, errorCount, warningCount } = report;
    this.logger.info({
      op: 'file.validate',
      ok: true,
      fileId: file.id,
      durationMs,
      rows,
      usableRows,
      errorCount,
      warningCount,
    });
  }

  private async reportOf(file: FileRecord): Promise<ValidationReport> {
    for (let tryNumber = 1; ; tryNumber += 1) {
      try {
        return await outlastOutage(() => this.validate(file, this.queue.signal), this.queue.signal);
      } catch (thrown) {
        this.queue.signal.throwIfAborted(); // stays `uploaded` and is begun again at the next start
        const error = AppError.from(thrown);
        this.logger.warn({ op: 'file.validate', ok: false, fileId: file.id, tryNumber, err: thrown });
        if (tryNumber >= TRIES_MAX || error.code === 'storage.not-found') return unreadable(file.id, error);
      }
    }
  }
}

function unreadable(fileId: string, { message, hint }: AppError): ValidationReport {
  return {
    fileId,
    state: 'done',
    format: null,
    rowKind: null,
    rows: 0,
    usableRows: 0,
    errorCount: 1,
    warningCount: 0,
    issues: [
      {
        line: 0,
        field: null,
        code: 'not-json',
        severity: 'error',
        message: `The file cannot be read: ${message}`,
        hint,
      },
    ],
    issueCounts: { 'not-json': 1 },
    itemFields: [],
    characters: 0,
    finishedAt: new Date().toISOString(),
  };
}

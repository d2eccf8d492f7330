import { Injectable } from '@nestjs/common';
import { AppError, getValidation, importModel } from '@luthier/contracts';
import type { ValidationReport } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { advise } from '@luthier/planner';
import { baseModelOf, validated } from '../job.js';
import type { Job } from '../job.js';
import { StartingPoints } from '../starting-point.js';
import type { StartingPoint } from '../starting-point.js';
import { namedFiles, refuseWrongRows } from '../wanted-rows.js';
import { PhaseStep, change, fail, wait } from './step.js';
import type { StepOutcome } from './step.js';

const SHOWN_ISSUES = 3;

/** Files checked, the model there. Then what the user left open is decided. */
@Injectable()
export class ValidateFiles extends PhaseStep {
  constructor(
    private readonly bus: MessageBus,
    private readonly starts: StartingPoints,
  ) {
    super();
  }

  override async look(job: Job): Promise<StepOutcome> {
    const { request } = job;
    const reports: ValidationReport[] = [];
    for (const file of namedFiles(request)) {
      const report = await this.bus.request(getValidation, { fileId: file.fileId });
      if (report.state === 'done' && report.usableRows === 0) {
        return fail({ code: 'file.unusable', message: whyUnusable(report), hint: hintOf(report) });
      }
      refuseWrongRows(request, file, report);
      reports.push(report);
    }
    const start = await this.startOf(job);
    const { model } = start;
    if (model.state === 'failed') {
      const { code, message, hint } = model.error ?? { code: 'model.import-failed' as const, message: '', hint: '' };
      return fail({ code, message: message || `The model "${request.model}" could not be imported.`, hint });
    }
    const open = reports.find(({ state }) => state === 'validating');
    if (open) return wait(`Validating file ${open.fileId}`);
    if (model.state === 'importing' || !model.shape || !model.files) {
      return wait(`Importing the base model ${request.model}`);
    }
    return this.finish(
      job,
      start,
      reports.find(({ fileId }) => fileId === request.trainingFile),
    );
  }

  private finish(job: Job, start: StartingPoint, report: ValidationReport | undefined): StepOutcome {
    const { request } = job;
    const rows = report?.usableRows ?? null;
    const { base, startAdapter } = start;
    const requested = { ...request, tuning: start.tuning ?? request.tuning };
    const { tuning, hyperparameters, cutoffLength, notes } = advise({ shape: base.shape, rows, requested });
    return change(async (tx) => {
      if (report) {
        const { usableRows, errorCount, warningCount } = report;
        await tx.event({
          level: errorCount > 0 ? 'warn' : 'info',
          type: 'message',
          message: `Validated ${request.trainingFile}: ${usableRows} usable rows, ${errorCount} errors, ${warningCount} warnings`,
        });
      }
      await tx.saveJob(validated(tx.job, { base, startAdapter, tuning, hyperparameters, cutoffLength, advice: notes }));
    });
  }

  private async startOf({ request }: Job): Promise<StartingPoint> {
    try {
      return await this.starts.find(request);
    } catch (cause) {
      if (!(cause instanceof AppError) || cause.code !== 'model.not-found') throw cause;
      const model = await this.bus.request(importModel, { model: request.model });
      if (model.kind === 'tuned') throw cause; // it is there, its base is not
      return { model, base: baseModelOf(model), startAdapter: null, tuning: null };
    }
  }
}

function whyUnusable({ fileId, issues, rows }: ValidationReport): string {
  const first = issues
    .slice(0, SHOWN_ISSUES)
    .map(({ line, message }) => (line > 0 ? `line ${line}: ${message}` : message));
  const why = first.length > 0 ? ` ${first.join(' ')}` : '';
  return `The file ${fileId} has no usable row (${rows} read).${why}`;
}

const hintOf = ({ issues }: ValidationReport): string =>
  issues[0]?.hint ?? 'Read the issues of the file and correct the rows they name.';

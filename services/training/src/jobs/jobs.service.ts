import { randomInt } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { AppError, contradictionIn, getValidation, listCatalog } from '@luthier/contracts';
import type { JobRequest, ModelRecord, Plan, RunSettings } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { Tracing } from '@luthier/service-kit';
import { advise, planNote, planRun } from '@luthier/planner';
import { capableProfiles, whyUnsupported, wishOf } from '../queue/admission.js';
import type { Profile } from '../queue/admission.js';
import { askFit, refuseImpossible } from '../queue/ask-fit.js';
import { isNever, ofKindAsked, shareOn, withFit, worldSizeOf } from '../queue/share.js';
import { inventoryOf } from './advance/plan-and-queue.js';
import { guessData } from './guess-data.js';
import type { Job } from './job.js';
import { JobStore } from './job.store.js';
import { JobWorker } from './job-worker.js';
import { answersOf } from './plan-input.js';
import { StartingPoints } from './starting-point.js';
import type { StartingPoint } from './starting-point.js';
import { namedFiles, refuseWrongRows } from './wanted-rows.js';
import type { NamedFile } from './wanted-rows.js';

const MAX_SEED = 2_147_483_647;

type Wish = Omit<JobRequest, 'jobId'>;

/** Makes jobs and plans, and reads them. The work itself is done by `AdvanceJob`. */
@Injectable()
export class JobsService {
  constructor(
    private readonly jobs: JobStore,
    private readonly bus: MessageBus,
    private readonly worker: JobWorker,
    private readonly tracing: Tracing,
    private readonly starts: StartingPoints,
  ) {}

  /** Idempotent by job id. @throws AppError for unknown files and models, and for what no runtime, or none here, can do. */
  async create(request: JobRequest): Promise<Job> {
    const known = await this.jobs.get(request.jobId);
    if (known) return known;
    const start = await this.checkNames(request);
    const { tuning, hyperparameters, cutoffLength, notes } = advise({
      shape: start?.base.shape ?? null,
      rows: null,
      requested: { ...request, tuning: start?.tuning ?? request.tuning },
    });
    await this.checkSettings(request, { method: request.method.type, tuning, hyperparameters }, start);
    const job: Job = {
      id: request.jobId,
      status: 'validating_files',
      phase: 'validating',
      message: 'Validating files',
      revision: 1,
      createdAt: new Date().toISOString(),
      finishedAt: null,
      trace: this.tracing.current(),
      request,
      seed: request.seed ?? randomInt(MAX_SEED),
      tuning,
      hyperparameters,
      cutoffLength,
      advice: notes,
      base: start?.base ?? null,
      startAdapter: start?.startAdapter ?? null,
      trainDatasetId: null,
      heldOutDatasetId: null,
      train: null,
      heldOut: null,
      plan: null,
      runId: null,
      rehearsal: null,
      intent: 'run',
      progress: null,
      progressToldAtMs: 0,
      attempts: [],
      trainedTokens: null,
      result: null,
      artifact: null,
      tunedModelId: null,
      fineTunedModel: null,
      evaluationId: null,
      evaluatingSince: null,
      fixes: 0,
      error: null,
    };
    const stored = await this.jobs.create(job, [
      { level: 'info', type: 'message', message: `Created fine-tuning job: ${job.id}` },
      { level: 'info', type: 'message', message: `Validating training file: ${request.trainingFile}` },
    ]);
    this.worker.wake(job.id);
    return stored;
  }

  /** @throws AppError `job.not-found`. */
  async get(jobId: string): Promise<Job> {
    const job = await this.jobs.get(jobId);
    if (!job) throw new AppError('job.not-found', `There is no job "${jobId}"`);
    return job;
  }

  /** A plan for something that is not submitted; tokens are guessed from the file's characters. */
  async plan(wish: Wish): Promise<Plan> {
    const { model, base, tuning: kept } = await this.starts.find(wish);
    const { shape } = base;
    if (!shape) throw new AppError('model.not-ready', `The model "${wish.model}" is ${model.state}`);
    for (const file of namedFiles(wish)) await this.checkRows(wish, file);
    const report = await this.bus.request(getValidation, { fileId: wish.trainingFile });
    const { tuning, hyperparameters, cutoffLength, notes } = advise({
      shape,
      rows: report.state === 'done' ? Math.max(1, report.usableRows) : null,
      requested: { ...wish, tuning: kept ?? wish.tuning },
    });
    const settings = { method: wish.method.type, tuning, hyperparameters };
    refuseContradiction(settings, shape);
    refuseStoppingUnseen(wish, settings);
    const inventory = await inventoryOf(this.bus);
    const kind = wishOf(settings, shape.architecture, wish);
    const capable = ofKindAsked(inventory ? capableProfiles(inventory, kind) : [], wish);
    const fits = await askFit(this.bus, wish, { profiles: capable });
    const isPossible = ({ name }: Profile): boolean => {
      const fit = fits?.get(name);
      return !fit || !isNever(fit, wish);
    };
    const profile = capable.find(isPossible) ?? capable[0];
    const fit = profile && fits?.get(profile.name);
    const ofMemory = planRun({
      shape,
      method: wish.method.type,
      ...answersOf(wish.method),
      tuning,
      hyperparameters,
      ...guessData(report, cutoffLength),
      cutoffLength,
      precision: wish.precision ?? null,
      profile,
      ...(profile && { worldSize: worldSizeOf(shareOn(wish, profile)) }),
    });
    const plan = fit ? withFit(ofMemory, fit, wish) : ofMemory;
    const guess = planNote(report.state === 'done' ? 'tokens-guessed' : 'file-validating', {});
    return { ...plan, notes: [guess, ...plan.notes, ...notes] };
  }

  /** Everything named exists; undefined: the model is in the catalogue but not imported. */
  private async checkNames(wish: Wish): Promise<StartingPoint | undefined> {
    for (const file of namedFiles(wish)) await this.checkRows(wish, file);
    return this.findStart(wish);
  }

  /** The settings go together and a runtime has them. */
  private async checkSettings(wish: Wish, settings: RunSettings, start: StartingPoint | undefined): Promise<void> {
    const shape = start?.base.shape ?? null;
    refuseContradiction(settings, shape);
    refuseStoppingUnseen(wish, settings);
    refuseRehearsalOfNodes(wish);
    const inventory = await inventoryOf(this.bus);
    if (!inventory) return;
    const kind = wishOf(settings, shape?.architecture ?? null, wish);
    const unsupported = whyUnsupported(inventory, kind);
    if (unsupported) {
      const { message, ...details } = unsupported;
      throw new AppError('model.unsupported', message, details);
    }
    await refuseImpossible(this.bus, wish, ofKindAsked(capableProfiles(inventory, kind), wish));
  }

  /** @throws AppError `file.not-found`, `file.wrong-rows`. */
  private async checkRows(wish: Wish, file: NamedFile): Promise<void> {
    try {
      refuseWrongRows(wish, file, await this.bus.request(getValidation, { fileId: file.fileId }));
    } catch (cause) {
      throw withParam(cause, 'file.not-found', file.param);
    }
  }

  /** Undefined: it is in the catalogue, not here yet. */
  private async findStart(wish: Wish): Promise<StartingPoint | undefined> {
    try {
      return await this.starts.find(wish);
    } catch (cause) {
      if (!(cause instanceof AppError) || cause.code !== 'model.not-found') throw cause;
      const { entries } = await this.bus.request(listCatalog, {});
      if (entries.some((entry) => entry.name === wish.model)) return undefined;
      throw new AppError('model.not-found', `There is no model "${wish.model}"`, { param: 'model' });
    }
  }
}

/** @throws AppError `request.invalid`. */
function refuseContradiction(settings: RunSettings, shape: ModelRecord['shape']): void {
  const found = contradictionIn(settings, shape);
  if (found) throw new AppError('request.invalid', found.message, { param: found.field, hint: found.hint });
}

function withParam(cause: unknown, code: AppError['code'], param: string): unknown {
  return cause instanceof AppError && cause.code === code ? cause.withParam(param) : cause;
}

/** When to stop is seen on held-out rows. @throws AppError `request.invalid`. */
function refuseStoppingUnseen({ validationFile }: Wish, { hyperparameters }: RunSettings): void {
  if (hyperparameters.earlyStoppingPatience === undefined || validationFile !== null) return;
  throw new AppError('request.invalid', 'Early stopping needs held-out rows that say when the loss no longer falls.', {
    param: 'hyperparameters.earlyStoppingPatience',
    hint: 'Name a `validation_file`, or leave the patience out.',
  });
}

/** A rehearsal goes on from its own checkpoint, which lies on one node. @throws AppError `request.unsupported`. */
function refuseRehearsalOfNodes({ rehearsal, resources }: Wish): void {
  if (rehearsal !== true || (resources?.nodes ?? 1) === 1) return;
  throw new AppError('request.unsupported', 'rehearsal: runs of several nodes are not rehearsed', {
    param: 'rehearsal',
    hint: 'Leave it out, or ask for one node.',
  });
}

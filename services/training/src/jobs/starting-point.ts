import { Injectable } from '@nestjs/common';
import { AppError, getModel } from '@luthier/contracts';
import type { JobRequest, ModelRecord, Tuning } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { baseModelOf } from './job.js';
import type { BaseModel, StartAdapter } from './job.js';
import { JobStore } from './job.store.js';

/** What a job goes on from. */
export interface StartingPoint {
  /** Whose state says whether it is there. */
  readonly model: ModelRecord;
  /** The weights it computes with: of the model itself, or of the base that its adapter lies on. */
  readonly base: BaseModel;
  /** Null: the weights alone. */
  readonly startAdapter: StartAdapter | null;
  /** Of the adapter it goes on from, which keeps its form; null: the job chooses. */
  readonly tuning: Tuning | null;
}

type Wish = Pick<JobRequest, 'model' | 'tuning' | 'method'>;

/** Finds what a job is to start from: a base model, a tuned model's weights, or a tuned model's adapter on its base. */
@Injectable()
export class StartingPoints {
  constructor(
    private readonly bus: MessageBus,
    private readonly jobs: JobStore,
  ) {}

  /** @throws AppError `model.not-found`, `model.unsupported`, `request.invalid`. */
  async find(wish: Wish): Promise<StartingPoint> {
    const { model, base } = await this.bus.request(getModel, { model: wish.model });
    if (model.gives === 'points') {
      throw new AppError('model.unsupported', `"${model.name}" gives points to answers; no job goes on from it`, {
        param: 'model',
        hint: 'Start from the model that it was made of.',
      });
    }
    if (model.files?.form !== 'adapter') {
      return { model, base: baseModelOf(model), startAdapter: null, tuning: null };
    }
    if (!base) throw new AppError('model.not-found', `The base of "${model.name}" is not there`, { param: 'model' });
    refuseOtherForms(wish, model);
    const startAdapter = { modelId: model.id, name: model.name, adapter: model.files.adapter };
    return { model, base: baseModelOf(base), startAdapter, tuning: await this.tuningOf(model) };
  }

  /** The adapter's settings are those of the job that made it. */
  private async tuningOf({ name, jobId }: ModelRecord): Promise<Tuning> {
    const job = jobId === null ? undefined : await this.jobs.get(jobId);
    if (!job) {
      throw new AppError('model.unsupported', `The job that made "${name}" is not known here`, {
        param: 'model',
        hint: 'Export it as one whole model and import that, or start from its base.',
      });
    }
    return asStored(job.tuning);
  }
}

/** An adapter goes on as it is. @throws AppError `request.invalid`. */
function refuseOtherForms({ tuning, method }: Wish, { name }: ModelRecord): void {
  if (tuning) {
    throw new AppError('request.invalid', `tuning: "${name}" is an adapter, which goes on in the form that it has`, {
      param: 'tuning',
      hint: 'Leave `tuning` out, or start from the base.',
    });
  }
  if (method.type === 'reward') {
    throw new AppError('request.invalid', `method.type: a reward model does not begin with an adapter that answers`, {
      param: 'method.type',
      hint: 'Start from the base of the model.',
    });
  }
}

/** PiSSA leaves a plain adapter of twice the rank, which scales as the one that was trained did. */
function asStored(tuning: Tuning): Tuning {
  if ((tuning.type !== 'lora' && tuning.type !== 'qlora') || tuning.initLoraWeights !== 'pissa') return tuning;
  const { initLoraWeights: _, ...rest } = tuning;
  return { ...rest, r: 2 * tuning.r, loraAlpha: (tuning.useRslora ? Math.SQRT2 : 2) * tuning.loraAlpha };
}

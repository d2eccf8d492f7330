import { Injectable } from '@nestjs/common';
import { AppError, givesPoints, registerModel } from '@luthier/contracts';
import type { ArtifactRef, ModelFiles, Tuning } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { registered } from '../job.js';
import type { Job } from '../job.js';
import { PhaseStep, change, wait } from './step.js';
import type { StepOutcome } from './step.js';

/** The registry makes one model a job, however often it is asked. */
@Injectable()
export class RegisterModel extends PhaseStep {
  constructor(private readonly bus: MessageBus) {
    super();
  }

  override async look(job: Job): Promise<StepOutcome> {
    const { base, artifact, request } = job;
    if (!base || !artifact) {
      throw new AppError('internal', undefined, { cause: new Error(`${job.id} has nothing to register`) });
    }
    const model = await this.bus.request(registerModel, {
      jobId: job.id,
      baseModelId: base.id,
      suffix: request.suffix,
      files: tunedFiles(job.tuning, artifact),
      gives: givesPoints(request.method.type) ? 'points' : 'answers',
    });
    if (model.state !== 'ready') return wait('Copying the model into the registry');
    return change(async (tx) => {
      await tx.event({ level: 'info', type: 'message', message: `New fine-tuned model created: ${model.name}` });
      await tx.saveJob(registered(tx.job, model, new Date().toISOString()));
    });
  }
}

/** What a run leaves, by what it trains: an adapter beside the base's weights, or weights of its own. */
function tunedFiles({ type }: Tuning, made: ArtifactRef): ModelFiles {
  switch (type) {
    case 'lora':
    case 'qlora':
      return { form: 'adapter', adapter: made };
    case 'full':
    case 'freeze':
      return { form: 'whole', weights: made };
  }
}

import { Injectable } from '@nestjs/common';
import { AppError, registerModel } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { registered } from '../job.js';
import type { Job } from '../job.js';
import { PhaseStep, change } from './step.js';
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
      adapter: artifact,
    });
    return change(async (tx) => {
      await tx.event({ level: 'info', type: 'message', message: `New fine-tuned model created: ${model.name}` });
      await tx.saveJob(registered(tx.job, model, new Date().toISOString()));
    });
  }
}

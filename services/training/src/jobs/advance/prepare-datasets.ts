import { Injectable } from '@nestjs/common';
import { AppError, PREPARED_FOR_METHOD, prepareDataset } from '@luthier/contracts';
import type { DatasetRecord } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { prepared } from '../job.js';
import type { Job, PreparedData } from '../job.js';
import { PhaseStep, change, fail, wait } from './step.js';
import type { StepOutcome } from './step.js';

/** Training rows (with the mix) and held-out rows made into datasets. Asking again joins what is under way. */
@Injectable()
export class PrepareDatasets extends PhaseStep {
  constructor(private readonly bus: MessageBus) {
    super();
  }

  override async look(job: Job): Promise<StepOutcome> {
    const train = await this.prepare(job, 'train', job.request.trainingFile);
    const { request } = job;
    const { validationFile } = request;
    const heldOut = validationFile === null ? null : await this.prepare(job, 'held-out', validationFile);
    for (const record of [train, heldOut]) {
      if (record?.state === 'failed') {
        return fail(record.error ?? { code: 'data.bad', message: `The dataset ${record.id} could not be prepared.` });
      }
    }
    if (train.id !== job.trainDatasetId || (heldOut?.id ?? null) !== job.heldOutDatasetId) {
      return change((tx) =>
        tx.saveJob({
          ...tx.job,
          revision: tx.job.revision + 1,
          trainDatasetId: train.id,
          heldOutDatasetId: heldOut?.id ?? null,
        }),
      );
    }
    const data = preparedData(train);
    const heldOutData = heldOut && preparedData(heldOut);
    if (!data || heldOutData === undefined) return wait('Preparing the datasets');
    // Of prompts nothing is trained but the answers that the model will give.
    const learnsNothing = data.trainedTokens === 0 && request.method.type !== 'grpo';
    if (data.rows === 0 || learnsNothing) return fail({ code: 'dataset.no-trained-tokens' });
    return change(async (tx) => {
      await tx.event({
        level: 'info',
        type: 'message',
        message: `Prepared ${data.rows} training rows with ${data.tokens} tokens, ${data.trainedTokens} of them trained`,
      });
      await tx.saveJob(prepared(tx.job, data, heldOutData));
    });
  }

  private prepare(job: Job, role: 'train' | 'held-out', fileId: string): Promise<DatasetRecord> {
    const { request, base, cutoffLength, seed } = job;
    if (!base?.weights) throw new AppError('internal', undefined, { cause: new Error(`${job.id} has no base model`) });
    return this.bus.request(prepareDataset, {
      role,
      fileIds: [fileId],
      ...(role === 'train' && request.mix && { mix: request.mix }),
      model: base.weights,
      cutoffLength,
      kind: PREPARED_FOR_METHOD[request.method.type],
      seed,
    });
  }
}

/** Undefined until it is ready. */
function preparedData(record: DatasetRecord): PreparedData | undefined {
  if (record.state !== 'ready' || !record.artifact) return undefined;
  const { id, rows, tokens, trainedTokens, longestRowTokens, longestPassTokens, artifact } = record;
  return { id, rows, tokens, trainedTokens, longestRowTokens, longestPassTokens, artifact };
}

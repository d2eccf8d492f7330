import { AppError, newId } from '@luthier/contracts';
import type { EvaluationRecord, Page } from '@luthier/contracts';
import { Injectable } from '@nestjs/common';
import { EvaluationStore } from './evaluation.store.js';
import type { EvaluationRequest } from './evaluation.store.js';
import { EvaluationWorker } from './evaluation.worker.js';

/** Use cases: ask for an evaluation, look at it. The work itself goes on in the background. */
@Injectable()
export class EvaluationsService {
  constructor(
    private readonly store: EvaluationStore,
    private readonly worker: EvaluationWorker,
  ) {}

  async evaluate(request: EvaluationRequest): Promise<EvaluationRecord> {
    const record = await this.store.createOnce(request, queued(request));
    this.worker.wake();
    return record;
  }

  /** @throws AppError `evaluation.not-found`. */
  async get(by: { evaluationId?: string | undefined; jobId?: string | undefined }): Promise<EvaluationRecord> {
    const found = await this.store.find(by);
    if (!found) throw new AppError('evaluation.not-found', 'There is no such evaluation.', { param: 'id' });
    return found;
  }

  list(page: { after?: string | undefined; limit: number; order: 'asc' | 'desc' }): Promise<Page<EvaluationRecord>> {
    return this.store.list(page);
  }
}

const queued = ({ jobId, modelId, baseModelId }: EvaluationRequest): EvaluationRecord => ({
  id: newId('evaluation'),
  jobId,
  modelId,
  baseModelId,
  state: 'queued',
  createdAt: new Date().toISOString(),
  finishedAt: null,
  progress: { done: 0, total: 0 },
  base: null,
  tuned: null,
  suites: {},
  samples: [],
  verdict: 'unproven',
  verdictReason: null,
  error: null,
});

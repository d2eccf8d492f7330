import { evaluateJob, getEvaluation, listEvaluations } from '@luthier/contracts';
import type { EvaluationRecord, Page } from '@luthier/contracts';
import { OnRequest } from '@luthier/messaging';
import { Controller } from '@nestjs/common';
import type { EvaluationRequest } from './evaluation.store.js';
import { EvaluationsService } from './evaluations.service.js';

@Controller()
export class EvaluationsRpc {
  constructor(private readonly evaluations: EvaluationsService) {}

  @OnRequest(evaluateJob)
  evaluateJob(request: EvaluationRequest): Promise<EvaluationRecord> {
    return this.evaluations.evaluate(request);
  }

  @OnRequest(getEvaluation)
  getEvaluation(by: { evaluationId?: string | undefined; jobId?: string | undefined }): Promise<EvaluationRecord> {
    return this.evaluations.get(by);
  }

  @OnRequest(listEvaluations)
  listEvaluations(page: {
    after?: string | undefined;
    limit: number;
    order: 'asc' | 'desc';
  }): Promise<Page<EvaluationRecord>> {
    return this.evaluations.list(page);
  }
}

import type { EvaluationRecord, Page, RequestOf, evaluateJob } from '@luthier/contracts';

export type EvaluationRequest = RequestOf<typeof evaluateJob>;
export interface StoredEvaluation {
  request: EvaluationRequest;
  record: EvaluationRecord;
}
export interface StoredAnswer {
  fileId: string;
  line: number;
  side: 'base' | 'tuned';
  /** Empty where there is a refusal. */
  answer: string;
  /** Why this row can have no answer; null where it has one. */
  refusal: string | null;
}

/** Evaluations, one per job, and the answers given so far. */
export abstract class EvaluationStore {
  /** The job's evaluation: the one there is, or `record` made now. */
  abstract createOnce(request: EvaluationRequest, record: EvaluationRecord): Promise<EvaluationRecord>;
  abstract find(by: {
    evaluationId?: string | undefined;
    jobId?: string | undefined;
  }): Promise<EvaluationRecord | undefined>;
  /** Without samples: a page of them would not fit into one message. */
  abstract list(page: {
    after?: string | undefined;
    limit: number;
    order: 'asc' | 'desc';
  }): Promise<Page<EvaluationRecord>>;
  /** The oldest that has not ended. */
  abstract nextUnfinished(): Promise<StoredEvaluation | undefined>;
  abstract answers(evaluationId: string): Promise<StoredAnswer[]>;
  /** Keeps answers and the record's progress in one transaction; false when the evaluation has ended or was deleted. */
  abstract addAnswers(record: EvaluationRecord, answers: readonly StoredAnswer[]): Promise<boolean>;
  /** Stores the end and announces it, in one transaction; false when it had ended already. */
  abstract finish(record: EvaluationRecord): Promise<boolean>;
  /** What was derived from a deleted model goes with it; handled once per event. */
  abstract deleteOfModel(modelId: string, eventId: string): Promise<void>;
}

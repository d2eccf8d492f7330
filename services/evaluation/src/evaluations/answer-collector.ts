import { generateAnswers, readRows } from '@luthier/contracts';
import type { EvaluationRecord } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { Injectable } from '@nestjs/common';
import { EvaluationStore } from './evaluation.store.js';
import type { EvaluationRequest, StoredAnswer } from './evaluation.store.js';
import type { AnsweredQuestion } from './measure.js';
import { toQuestion } from './question.js';
import type { Question } from './question.js';

type Side = 'base' | 'tuned';
const PAGE = 100;

export interface CollectorSettings {
  answerTokensMax: number;
  batchSize: number;
  rowsMax: number;
}

/** Has both sides answer every question, batch by batch; what is answered is kept at once. */
@Injectable()
export class AnswerCollector {
  constructor(
    private readonly bus: MessageBus,
    private readonly store: EvaluationStore,
    private readonly settings: CollectorSettings,
  ) {}

  /**
   * Undefined when `signal` stopped it, or the evaluation was deleted meanwhile. `onProgress` is told of every batch.
   * @throws AppError of the services asked.
   */
  async collect(
    request: EvaluationRequest,
    record: EvaluationRecord,
    signal: AbortSignal,
    onProgress: () => void = () => undefined,
  ): Promise<AnsweredQuestion[] | undefined> {
    const questions = await this.questions(request);
    const given = new Map((await this.store.answers(record.id)).map((answer) => [keyOf(answer), answer.answer]));
    const total = questions.length * 2;
    // One side after the other: the engine then keeps one context busy instead of changing between two.
    for (const side of ['base', 'tuned'] as const) {
      const model = side === 'base' ? request.baseModelId : request.modelId;
      const open = questions.filter((question) => !given.has(keyOf({ ...question, side })));
      for (let at = 0; at < open.length; at += this.settings.batchSize) {
        const batch = open.slice(at, at + this.settings.batchSize);
        // Answers that a stop leaves behind are asked for again: waiting for them could take minutes.
        const answers = await unlessAborted(signal, () => this.ask(model, side, batch));
        if (!answers) return undefined;
        for (const answer of answers) given.set(keyOf(answer), answer.answer);
        const progress = { done: given.size, total };
        if (!(await this.store.addAnswers({ ...record, state: 'running', progress }, answers))) return undefined;
        onProgress();
      }
    }
    const answerOf = (question: Question, side: Side): string => given.get(keyOf({ ...question, side })) ?? '';
    return questions.map((question) => ({
      ...question,
      base: answerOf(question, 'base'),
      tuned: answerOf(question, 'tuned'),
    }));
  }

  private async ask(model: string, side: Side, questions: readonly Question[]): Promise<StoredAnswer[]> {
    const { answers } = await this.bus.request(
      generateAnswers,
      {
        model,
        conversations: questions.map((question) => question.conversation),
        sampling: { maxTokens: this.settings.answerTokensMax, temperature: 0 },
      },
      { waitForServiceMs: 10_000 },
    );
    return questions.map(({ fileId, line }, i) => ({ fileId, line, side, answer: answers[i]?.text ?? '' }));
  }

  private async questions({ heldOutFileId, generalFileId }: EvaluationRequest): Promise<Question[]> {
    const heldOut = heldOutFileId === null ? [] : await this.questionsOf(heldOutFileId, true);
    const general = generalFileId === null ? [] : await this.questionsOf(generalFileId, false);
    return [...heldOut, ...general];
  }

  private async questionsOf(fileId: string, heldOut: boolean): Promise<Question[]> {
    const questions: Question[] = [];
    for (let offset = 0; offset < this.settings.rowsMax;) {
      const limit = Math.min(PAGE, this.settings.rowsMax - offset);
      const { rows, total, nextOffset } = await this.bus.request(readRows, { fileId, offset, limit });
      questions.push(
        ...rows.map((row) => toQuestion(fileId, heldOut, row)).filter((question) => question !== undefined),
      );
      if (nextOffset >= total || nextOffset <= offset) break;
      offset = nextOffset;
    }
    return questions;
  }
}

const keyOf = ({ fileId, line, side }: { fileId: string; line: number; side: Side }): string =>
  `${fileId}:${line}:${side}`;

/** The answer of `work`, or undefined as soon as `signal` is aborted. */
async function unlessAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
  if (signal.aborted) return undefined;
  let leave = (): void => undefined;
  const aborted = new Promise<undefined>((resolve) => {
    leave = () => resolve(undefined);
    signal.addEventListener('abort', leave, { once: true });
  });
  try {
    return await Promise.race([work(), aborted]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

import { AppError, generateAnswers, readRows } from '@luthier/contracts';
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
const REFUSAL_CHARACTERS_MAX = 300;
/** A message of NATS holds 4 MiB here. */
const BATCH_BYTES_MAX = 1024 * 1024;

export interface CollectorSettings {
  answerTokensMax: number;
  batchSize: number;
  rowsMax: number;
}

/**
 * Has both sides answer every question, batch by batch; what is answered is kept at once. A question that inference
 * refuses (it is longer than the model reads) is kept with the reason, and the others are asked without it.
 */
@Injectable()
export class AnswerCollector {
  constructor(
    private readonly bus: MessageBus,
    private readonly store: EvaluationStore,
    private readonly settings: CollectorSettings,
  ) {}

  /**
   * Undefined when `signal` stopped it, or the evaluation was deleted meanwhile. `onProgress` is told of every batch.
   * @throws AppError of the services asked; `request.invalid` when not one question could be asked.
   */
  async collect(
    request: EvaluationRequest,
    record: EvaluationRecord,
    signal: AbortSignal,
    onProgress: () => void = () => undefined,
  ): Promise<AnsweredQuestion[] | undefined> {
    const questions = await this.questions(request);
    const given = new Map((await this.store.answers(record.id)).map((answer) => [keyOf(answer), answer]));
    const total = questions.length * 2;
    // One side after the other: the engine then keeps one context busy instead of changing between two.
    for (const side of ['base', 'tuned'] as const) {
      const model = side === 'base' ? request.baseModelId : request.modelId;
      const open = questions.filter((question) => !given.has(keyOf({ ...question, side })));
      for (const batch of batches(open, this.settings.batchSize)) {
        // Answers that a stop leaves behind are asked for again: waiting for them could take minutes.
        const answers = await unlessAborted(signal, () => this.ask(model, side, batch));
        if (!answers) return undefined;
        for (const answer of answers) given.set(keyOf(answer), answer);
        const progress = { done: given.size, total };
        if (!(await this.store.addAnswers({ ...record, state: 'running', progress }, answers))) return undefined;
        onProgress();
      }
    }
    const answered = questions.map((question) => {
      const [base, tuned] = (['base', 'tuned'] as const).map((side) => given.get(keyOf({ ...question, side })));
      const notAnswered = base?.refusal ?? tuned?.refusal ?? null;
      return { ...question, base: base?.answer ?? '', tuned: tuned?.answer ?? '', notAnswered };
    });
    refuseUnanswerable(answered);
    return answered;
  }

  /** Halves a batch that is refused until the question at fault stands alone: the others stay together, which is fast. */
  private async ask(model: string, side: Side, questions: readonly Question[]): Promise<StoredAnswer[]> {
    try {
      return await this.askTogether(model, side, questions);
    } catch (thrown) {
      const fault = AppError.from(thrown);
      if (fault.code !== 'request.invalid') throw thrown;
      const [only, ...others] = questions;
      if (only && others.length === 0) return [refused(only, side, fault.message)];
      const half = Math.ceil(questions.length / 2);
      const first = await this.ask(model, side, questions.slice(0, half));
      return [...first, ...(await this.ask(model, side, questions.slice(half)))];
    }
  }

  private async askTogether(model: string, side: Side, questions: readonly Question[]): Promise<StoredAnswer[]> {
    const { answers } = await this.bus.request(
      generateAnswers,
      {
        model,
        conversations: questions.map((question) => question.conversation),
        sampling: { maxTokens: this.settings.answerTokensMax, temperature: 0 },
      },
      { waitForServiceMs: 10_000 },
    );
    const refusal = null;
    return questions.map(({ fileId, line }, i) => ({ fileId, line, side, answer: answers[i]?.text ?? '', refusal }));
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

/** At most `countMax` questions each, and no more of them than fit into a message together. */
function batches(questions: readonly Question[], countMax: number): Question[][] {
  const made: Question[][] = [];
  let bytes = 0;
  for (const question of questions) {
    const size = Buffer.byteLength(JSON.stringify(question.conversation));
    const last = made.at(-1);
    if (last && last.length < countMax && bytes + size <= BATCH_BYTES_MAX) {
      last.push(question);
      bytes += size;
    } else {
      made.push([question]);
      bytes = size;
    }
  }
  return made;
}

const refused = ({ fileId, line }: Question, side: Side, why: string): StoredAnswer => ({
  fileId,
  line,
  side,
  answer: '',
  refusal: why.slice(0, REFUSAL_CHARACTERS_MAX),
});

/** Nothing can be compared where no question could be asked at all. */
function refuseUnanswerable(questions: readonly AnsweredQuestion[]): void {
  const [first] = questions;
  if (!first || questions.some(({ notAnswered }) => notAnswered === null)) return;
  throw new AppError(
    'request.invalid',
    `None of the ${questions.length} rows could be answered; line ${first.line}: ${first.notAnswered ?? ''}`,
    { hint: 'Shorten the held-out rows, or take a model that reads more tokens.' },
  );
}

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

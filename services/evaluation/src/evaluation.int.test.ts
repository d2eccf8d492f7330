import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  AppError,
  evaluateJob,
  evaluationCompleted,
  evaluationFailed,
  generateAnswers,
  getEvaluation,
  listEvaluations,
  modelDeleted,
  newId,
  readRows,
} from '@luthier/contracts';
import type { DatasetRow, EvaluationRecord, RequestOf } from '@luthier/contracts';
import { MessageBus, provision } from '@luthier/messaging';
import { bootstrap, loadConfig } from '@luthier/service-kit';
import type { RunningService } from '@luthier/service-kit';
import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import { startNats, startPostgres, waitFor } from '@luthier/testing';
import type { TestDatabase, TestNats, TestPostgres } from '@luthier/testing';
import { EvaluationModule, evaluationConfigSchema } from './index.js';
import type { EvaluationConfig } from './index.js';

let nats: TestNats;
let postgres: TestPostgres;
let database: TestDatabase;
let connection: NatsConnection;
let bus: MessageBus;
let config: EvaluationConfig;
let service: RunningService | undefined;
const subscriptions: Subscription[] = [];
const events: { type: string; jobId: string; verdict?: string; code?: string }[] = [];

/** What the other services answer in the test at hand. */
let files: Map<string, DatasetRow[]>;
let asked: { model: string; questions: string[] }[];
let answer: (model: string, question: string) => string | Promise<string>;
let fault: ((questions: readonly string[]) => AppError | undefined) | undefined;

const heldOutFileId = newId('file');
const generalFileId = newId('file');
const row = (line: number, facts: string[]): DatasetRow => ({
  line,
  messages: [
    { role: 'user', content: `question ${line}` },
    { role: 'assistant', content: `answer ${line}` },
  ],
  facts,
  suite: null,
});

/** A service of the platform, as small as its one request. */
function respond(subject: string, handle: (data: never) => Promise<unknown>): void {
  subscriptions.push(
    connection.subscribe(subject, {
      callback: (_error, message) => {
        const { data, id } = message.json<{ data: never; id: string }>();
        void handle(data).then(
          (response) => message.respond(JSON.stringify({ id, response, isDisposed: true })),
          (thrown: unknown) =>
            message.respond(JSON.stringify({ id, err: AppError.from(thrown).toReply(), isDisposed: true })),
        );
      },
    }),
  );
}

async function answerLikeInference(request: RequestOf<typeof generateAnswers>): Promise<unknown> {
  const questions = request.conversations.map((turns) => turns.at(-1)?.content ?? '');
  const thrown = fault?.(questions);
  if (thrown) throw thrown;
  asked.push({ model: request.model, questions });
  const texts = await Promise.all(questions.map(async (question) => answer(request.model, question)));
  return {
    modelId: request.model,
    answers: texts.map((text) => ({ text, finishReason: 'stop', promptTokens: 1, completionTokens: 1 })),
  };
}

const start = async (): Promise<void> => {
  service = await bootstrap(EvaluationModule.forConfig(config), config);
};
const stop = async (): Promise<void> => {
  await service?.stop();
  service = undefined;
};
const order = (change: Partial<RequestOf<typeof evaluateJob>> = {}): RequestOf<typeof evaluateJob> => ({
  jobId: newId('job'),
  modelId: newId('model'),
  baseModelId: newId('model'),
  heldOutFileId,
  generalFileId,
  base: null,
  tuned: null,
  ...change,
});
const ended = (jobId: string): Promise<EvaluationRecord> =>
  waitFor(async () => {
    const record = await bus.request(getEvaluation, { jobId });
    return record.state === 'completed' || record.state === 'failed' ? record : undefined;
  });
const eventsOf = (jobId: string) => events.filter((event) => event.jobId === jobId);

beforeAll(async () => {
  [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
  database = await postgres.createDatabase();
  connection = await nats.connect();
  await provision(connection);
  bus = new MessageBus(connection);
  config = loadConfig(
    evaluationConfigSchema,
    {},
    {
      natsUrl: nats.url,
      databaseUrl: database.url,
      logLevel: 'silent',
      batchSize: 4,
      retryPauseMs: 20,
      patienceMs: 60_000,
    },
  );
  respond(readRows.subject, async ({ fileId, offset, limit }: { fileId: string; offset: number; limit: number }) => {
    const rows = files.get(fileId);
    if (!rows) throw new AppError('file.not-found');
    const page = rows.slice(offset, offset + Math.min(limit, 3)); // a short page is no end
    return { rows: page, total: rows.length, nextOffset: offset + page.length };
  });
  respond(generateAnswers.subject, answerLikeInference);
  for (const { subject } of [evaluationCompleted, evaluationFailed]) {
    subscriptions.push(
      connection.subscribe(subject, {
        callback: (_error, message) => {
          const body = message.json<Record<string, unknown>>();
          events.push({ ...(body as { jobId: string }), type: message.subject.split('.').at(-1) ?? '' });
        },
      }),
    );
  }
  await connection.flush();
});

beforeEach(async () => {
  asked = [];
  fault = undefined;
  answer = (model, question) => `${model} says ${question.replace('question', 'answer')}`;
  files = new Map([
    [heldOutFileId, Array.from({ length: 7 }, (_, i) => row(i + 1, [`answer ${i + 1}`]))],
    [generalFileId, [row(1, ['answer 1']), row(2, [])]],
  ]);
  await start();
});
afterEach(stop);
afterAll(async () => {
  for (const subscription of subscriptions) subscription.unsubscribe();
  await database?.drop();
  await postgres?.stop();
  await nats?.stop();
});

describe('an evaluation', () => {
  it('asks both sides every question once, and ends with its measures and one event', async () => {
    const request = order();
    answer = (model, question) => (model === request.modelId ? question.replace('question', 'answer') : 'no idea');
    const queued = await bus.request(evaluateJob, request);
    expect(queued).toMatchObject({ state: 'queued', verdict: 'unproven', jobId: request.jobId });
    const record = await ended(request.jobId);
    expect(record).toMatchObject({
      state: 'completed',
      progress: { done: 18, total: 18 },
      suites: { facts: { base: { right: 0, total: 7 }, tuned: { right: 7, total: 7 } } },
      tuned: { factAccuracy: 1, rougeL: 1 },
      verdict: 'better',
    });
    expect(record.samples).toHaveLength(9);
    const questions = asked.flatMap(({ model, questions: some }) => some.map((question) => `${model} ${question}`));
    expect(questions).toHaveLength(18);
    await waitFor(() => eventsOf(request.jobId).length > 0);
    expect(eventsOf(request.jobId)).toMatchObject([{ type: 'completed', verdict: 'better' }]);
  });

  it('is one per job, however often it is asked for', async () => {
    const request = order();
    const records = await Promise.all([1, 2, 3].map(() => bus.request(evaluateJob, request)));
    expect(new Set(records.map(({ id }) => id)).size).toBe(1);
    await ended(request.jobId);
    expect((await bus.request(evaluateJob, { ...request, modelId: newId('model') })).modelId).toBe(request.modelId);
    await waitFor(() => eventsOf(request.jobId).length > 0);
    await stop();
    await start(); // nothing is announced again
    await ended(request.jobId);
    expect(eventsOf(request.jobId)).toHaveLength(1);
  });

  it('asks only what is missing after a stop in the middle, and the stop does not wait for answers', async () => {
    const request = order({ generalFileId: null });
    let held = 0;
    answer = (_model, question) =>
      question === 'question 5' && held++ === 0 ? new Promise(() => undefined) : question.replace('question', 'answer');
    await bus.request(evaluateJob, request);
    await waitFor(() => held === 1);
    const before = asked.flatMap(({ questions }) => questions).length;
    await stop();
    expect(before).toBe(7); // 4 answered, 3 that hang
    asked = [];
    await start();
    const record = await ended(request.jobId);
    expect(record).toMatchObject({ state: 'completed', progress: { done: 14, total: 14 } });
    expect(asked.flatMap(({ model, questions }) => (model === request.baseModelId ? questions : []))).toEqual([
      'question 5',
      'question 6',
      'question 7',
    ]);
  });

  it('waits for a fault that passes', async () => {
    const request = order({ generalFileId: null });
    let faults = 3;
    fault = () => (faults-- > 0 ? new AppError('service.unavailable', 'inference is not there') : undefined);
    await bus.request(evaluateJob, request);
    expect((await ended(request.jobId)).state).toBe('completed');
    expect(faults).toBeLessThan(0);
  });

  it('leaves a row out that no model can read, names it with the reason, and does not ask it again after a restart', async () => {
    const request = order({ generalFileId: null });
    let held = 0;
    let tooLong = 0;
    fault = (questions) =>
      questions.includes('question 3') && (tooLong += 1) > 0
        ? new AppError('request.invalid', 'Prompt and answer need 9000 tokens; the model reads 8192.')
        : undefined;
    answer = (model, question) =>
      model === request.modelId
        ? question.replace('question', 'answer')
        : question === 'question 6' && held++ === 0
          ? new Promise(() => undefined)
          : 'no idea';
    await bus.request(evaluateJob, request);
    await waitFor(() => held === 1); // the first batch, with the row at fault, is stored
    await stop();
    tooLong = 0;
    asked = [];
    await start();
    const record = await ended(request.jobId);
    expect(record).toMatchObject({
      state: 'completed',
      progress: { done: 14, total: 14 },
      suites: { facts: { base: { right: 0, total: 6 }, tuned: { right: 6, total: 6 } } },
      tuned: { factAccuracy: 1, rougeL: 1 },
      verdict: 'better',
    });
    expect(record.verdictReason).toContain(
      'Not answered and not counted: 1 of 7 rows. line 3 (facts): Prompt and answer need 9000 tokens',
    );
    expect(record.samples.filter(({ notAnswered }) => notAnswered !== null)).toMatchObject([
      { line: 3, base: '', tuned: '', baseRight: null, tunedRight: null },
    ]);
    expect(tooLong).toBe(3); // the tuned side alone: four, two and one question
    const asBase = asked.flatMap(({ model, questions }) => (model === request.baseModelId ? questions : []));
    expect(asBase).toEqual(['question 5', 'question 6', 'question 7']);
  });

  it('fails with the reason when not one row can be read', async () => {
    const request = order({ generalFileId: null });
    fault = () => new AppError('request.invalid', 'Prompt and answer need 9000 tokens; the model reads 8192.');
    await bus.request(evaluateJob, request);
    const record = await ended(request.jobId);
    expect(record).toMatchObject({ state: 'failed', verdict: 'unproven', error: { code: 'request.invalid' } });
    expect(record.error?.message).toMatch(/^None of the 7 rows could be answered; line 1: Prompt and answer need 9000/);
    expect(record.error?.hint).toContain('Shorten the held-out rows');
  });

  it('fails with the reason at a fault that stays, and says so once', async () => {
    const request = order({ heldOutFileId: newId('file') });
    await bus.request(evaluateJob, request);
    const record = await ended(request.jobId);
    expect(record).toMatchObject({ state: 'failed', verdict: 'unproven', error: { code: 'file.not-found' } });
    await waitFor(() => eventsOf(request.jobId).length > 0);
    expect(eventsOf(request.jobId)).toMatchObject([{ type: 'failed', code: 'file.not-found' }]);
  });

  it('goes with its model, also while it is being worked on', async () => {
    const [finished, open] = [order({ generalFileId: null }), order({ generalFileId: null })];
    await bus.request(evaluateJob, finished);
    await ended(finished.jobId);
    const held: ((text: string) => void)[] = [];
    answer = () => new Promise((resolve) => held.push(resolve));
    await bus.request(evaluateJob, open);
    await waitFor(() => asked.some(({ model }) => model === open.baseModelId));
    for (const { modelId } of [finished, open]) {
      const payload = JSON.stringify({ modelId, name: 'ft:x', jobId: null });
      await jetstream(connection).publish(modelDeleted.subject, payload, { msgID: newId('event') });
    }
    for (const { jobId } of [finished, open]) {
      await waitFor(async () =>
        bus.request(getEvaluation, { jobId }).then(
          () => false,
          (thrown: unknown) => thrown instanceof AppError && thrown.code === 'evaluation.not-found',
        ),
      );
    }
    answer = () => 'fine';
    for (const release of held) release('late');
    const next = order({ generalFileId: null });
    await bus.request(evaluateJob, next); // the worker goes on with the next one
    expect((await ended(next.jobId)).state).toBe('completed');
    expect(eventsOf(open.jobId)).toEqual([]);
  });
});

describe('the list of evaluations', () => {
  it('pages both ways without gap or double, and leaves samples out', async () => {
    const jobs = Array.from({ length: 5 }, () => order({ generalFileId: null }));
    for (const request of jobs) await bus.request(evaluateJob, request);
    for (const { jobId } of jobs) await ended(jobId);
    for (const direction of ['asc', 'desc'] as const) {
      const whole = await bus.request(listEvaluations, { limit: 100, order: direction });
      const seen: string[] = [];
      for (let after: string | undefined; ;) {
        const { items, hasMore } = await bus.request(listEvaluations, {
          limit: 2,
          order: direction,
          ...(after !== undefined && { after }),
        });
        seen.push(...items.map(({ id }) => id));
        expect(items.every(({ samples }) => samples.length === 0)).toBe(true);
        after = items.at(-1)?.id;
        if (!hasMore) break;
      }
      expect(seen).toEqual(whole.items.map(({ id }) => id));
      expect(new Set(seen).size).toBe(seen.length);
    }
  });
});

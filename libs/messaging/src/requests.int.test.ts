import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import type { INestMicroservice } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import {
  AppError,
  CALLS,
  CONSUMERS,
  RUNS_BUCKET,
  SERVICES,
  STREAMS,
  defineRequest,
  newId,
  runStreamMessage,
} from '@luthier/contracts';
import { startNats, waitFor } from '@luthier/testing';
import type { TestNats } from '@luthier/testing';
import {
  EventConsumer,
  MessageBus,
  OnRequest,
  RunsBucket,
  SharedNatsTransport,
  natsPermissions,
  natsServerConfig,
  provision,
} from './index.js';

const RPC = ['luthier', 'v1', 'rpc', 'datasets'].join('.');
const double = defineRequest({
  subject: `${RPC}.double`,
  request: z.object({ value: z.int().positive(), mode: z.enum(['ok', 'refuse', 'crash', 'hang']).default('ok') }),
  response: z.object({ value: z.int() }),
  errors: ['file.not-found'],
  timeoutMs: 60_000,
});
const unserved = defineRequest({ subject: `${RPC}.nobody`, request: z.object({}), response: z.object({}) });

@Controller()
class Doubler {
  @OnRequest(double)
  async double({ value, mode }: z.output<typeof double.request>): Promise<{ value: number }> {
    if (mode === 'refuse') throw new AppError('file.not-found', 'no file-1', { param: 'value', hint: 'upload it' });
    if (mode === 'crash') throw new Error('secret of the house');
    if (mode === 'hang') await new Promise((resolve) => setTimeout(resolve, 60_000).unref());
    return { value: value * 2 };
  }
}

@Module({ controllers: [Doubler] })
class DoublerModule {}

let nats: TestNats;
let caller: NatsConnection;
let bus: MessageBus;
let service: INestMicroservice;

beforeAll(async () => {
  nats = await startNats();
  caller = await nats.connect();
  bus = new MessageBus(caller);
  const strategy = new SharedNatsTransport(await nats.connect(), 'datasets');
  service = await NestFactory.createMicroservice(DoublerModule, { strategy, logger: false });
  await service.listen();
  await strategy.unwrap<NatsConnection>().flush(); // the server knows the subscriptions: whoever asks now is answered
});
afterAll(async () => {
  await service.close();
  await nats.stop();
});

const failureOf = (work: Promise<unknown>): Promise<AppError> =>
  work.then(
    () => Promise.reject(new Error('no error came')),
    (thrown: unknown) => thrown as AppError,
  );

describe('a request', () => {
  it('is answered by the handler of its definition', async () => {
    await expect(bus.request(double, { value: 21 })).resolves.toEqual({ value: 42 });
  });

  it("brings the handler's error back with code, message, field and hint", async () => {
    const error = await failureOf(bus.request(double, { value: 1, mode: 'refuse' }));
    expect(error).toBeInstanceOf(AppError);
    expect([error.code, error.message, error.param, error.hint]).toEqual([
      'file.not-found',
      'no file-1',
      'value',
      'upload it',
    ]);
  });

  it('hides from the caller what a handler threw by accident', async () => {
    const error = await failureOf(bus.request(double, { value: 1, mode: 'crash' }));
    expect(error.code).toBe('internal');
    expect(JSON.stringify(error.toReply()) + String(error.cause)).not.toContain('secret');
  });

  it('with a wrong payload is refused before it is sent', async () => {
    const error = await failureOf(bus.request(double, { value: -1 }));
    expect([error.code, error.param]).toEqual(['request.invalid', 'value']);
  });

  it('with a wrong payload from a foreign client is refused by the handler', async () => {
    const reply = await caller.request(
      double.subject,
      JSON.stringify({ pattern: double.subject, data: { value: 'x' }, id: '1' }),
    );
    expect(reply.json()).toMatchObject({ err: { error: { code: 'request.invalid', param: 'value' } }, id: '1' });
  });

  it('ends as request.timeout when the handler is too slow', async () => {
    const error = await failureOf(bus.request(double, { value: 1, mode: 'hang' }, { timeoutMs: 100 }));
    expect(error.code).toBe('request.timeout');
  });

  it('ends as service.unavailable when nobody answers the subject', async () => {
    expect((await failureOf(bus.request(unserved, {}))).code).toBe('service.unavailable');
    const started = Date.now();
    await failureOf(bus.request(unserved, {}, { waitForServiceMs: 200 }));
    expect(Date.now() - started).toBeGreaterThanOrEqual(200);
  });

  it('matches no stream, so no acknowledgement can answer it', () => {
    for (const { subjects } of STREAMS) {
      for (const subject of subjects) expect(subject.startsWith('luthier.v1.rpc') || subject === '>').toBe(false);
    }
  });
});

describe('credentials generated from contracts', () => {
  it('let a service ask whom it may ask and nobody else, and touch no foreign subject', async () => {
    const users = SERVICES.map((name) => ({ user: name, password: `pw-${name}`, permissions: natsPermissions(name) }));
    const configuration = natsServerConfig([...users, { user: 'admin', password: 'pw' }]);
    const guarded = await startNats({ configuration });
    try {
      await provision(await guarded.connect({ user: 'admin', pass: 'pw' }));
      const as = (name: string): Promise<NatsConnection> =>
        guarded.connect({ user: name, pass: `pw-${name}`, inboxPrefix: `_INBOX.${name}` });
      const strategy = new SharedNatsTransport(await as('datasets'), 'datasets');
      const served = await NestFactory.createMicroservice(DoublerModule, { strategy, logger: false });
      await served.listen();
      await strategy.unwrap<NatsConnection>().flush();
      const allowed = SERVICES.find((name) => CALLS[name].includes('datasets')) ?? 'gateway';
      await expect(new MessageBus(await as(allowed)).request(double, { value: 2 })).resolves.toEqual({ value: 4 });
      const stranger = await as('registry');
      await expect(new MessageBus(stranger).request(double, { value: 2 }, { timeoutMs: 300 })).rejects.toBeInstanceOf(
        AppError,
      );
      const training = await as('training');
      await expect(
        training.request(`$JS.API.STREAM.DELETE.${STREAMS[0]?.name}`, '', { timeout: 300 }),
      ).rejects.toThrow();
      await expect(training.request(`$KV.${RUNS_BUCKET}.run-x.status`, '{}', { timeout: 300 })).rejects.toThrow();
      await served.close();
      await runsTravelBothWays(training, await as('trainer'));
    } finally {
      await guarded.stop();
    }
  });
});

/** Training and trainer with nothing but their own permissions: spec one way, status and run events the other. */
async function runsTravelBothWays(training: NatsConnection, trainer: NatsConnection): Promise<void> {
  const runId = newId('run');
  const lines: unknown[] = [];
  const spec = CONSUMERS.find(({ name }) => name === 'training-runs');
  if (!spec) throw new Error('no consumer');
  const consumer = new EventConsumer({
    connection: training,
    consumer: spec,
    handlers: [{ subject: undefined, schema: runStreamMessage, handle: (line) => void lines.push(line) }],
  });
  consumer.start();
  const ended = new AbortController();
  const watched: string[] = [];
  void (async () => {
    for await (const change of new RunsBucket(training).watch('status', { signal: ended.signal })) {
      if (change.type === 'put') watched.push(change.entry.runId);
      if (change.type === 'list') watched.push(...change.entries.map((entry) => entry.runId));
    }
  })();
  const status = { runId, attempt: 1, incarnation: 1, observedGeneration: 1, message: '', pods: [] };
  await new RunsBucket(trainer).compareAndSet('status', { ...status, phase: 'running', reason: 'process-running' }, 0);
  const event = { type: 'heartbeat' as const, seq: 1, rank: 0, time: new Date().toISOString(), step: 1 };
  await new MessageBus(trainer).publishRunMessage({ runId, attempt: 1, incarnation: 1, event });
  await waitFor(() => watched.includes(runId) && lines.length === 1);
  expect(await new RunsBucket(trainer).list('spec')).toEqual([]);
  ended.abort();
  await consumer.stop();
}

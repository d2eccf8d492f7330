import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { drizzle } from 'drizzle-orm/node-postgres';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import { pgSchema } from 'drizzle-orm/pg-core';
import { Pool } from 'pg';
import { z } from 'zod';
import {
  CONSUMERS,
  DEAD_STREAM,
  EVENT_STREAM,
  RUN_STREAM,
  STREAMS,
  deadSubject,
  defineEvent,
  newId,
} from '@luthier/contracts';
import type { ConsumerSpec } from '@luthier/contracts';
import { startNats, startPostgres, waitFor } from '@luthier/testing';
import type { TestDatabase, TestNats, TestPostgres } from '@luthier/testing';
import {
  EventConsumer,
  MessageBus,
  OutboxRelay,
  enqueue,
  handledOnce,
  inboxTable,
  outboxTable,
  provision,
} from './index.js';
import type { DeadLetter, DeliveryObserver, EventHandler } from './index.js';

const happened = defineEvent({
  subject: ['luthier', 'v1', 'event', 'datasets', 'file', 'validated'].join('.'),
  schema: z.object({ id: z.string(), n: z.int() }),
  key: ({ id, n }) => `${id}:${n}`,
});
const tables = pgSchema('demo');
const outbox = outboxTable(tables);
const inbox = inboxTable(tables);
/** The DDL that drizzle-kit generates for these tables. */
const DDL = `create schema demo;
  create table demo.outbox (id text primary key, seq bigserial not null, subject text not null, payload jsonb not null,
    created_at timestamptz not null default now(), published_at timestamptz, published_stream text);
  create table demo.inbox (consumer text not null, event_id text not null, handled_at timestamptz not null default now(),
    primary key (consumer, event_id));
  create table demo.seen (n int)`;

let nats: TestNats;
let connection: NatsConnection;
let postgres: TestPostgres;
let base: TestDatabase;
let pool: Pool;
let db: NodePgDatabase;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  nats = await startNats();
  connection = await nats.connect();
  await provision(connection);
  base = await postgres.createDatabase();
  pool = new Pool({ connectionString: base.url, max: 4 });
  pool.on('error', () => undefined);
  await pool.query(DDL);
  db = drizzle(pool);
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await pool.end();
  await nats.stop();
  await base.drop();
});

const training = (changes: Partial<ConsumerSpec> = {}): ConsumerSpec => {
  const spec = CONSUMERS.find(({ name }) => name === 'training');
  if (!spec) throw new Error('no consumer');
  return { ...spec, ...changes };
};

function consume(handle: EventHandler['handle'], consumer = training(), observer?: DeliveryObserver): EventConsumer {
  const running = new EventConsumer({
    connection,
    consumer,
    retryDelayMs: 10,
    handlers: [{ subject: happened.subject, schema: happened.schema, handle }],
    ...(observer && { observer }),
  });
  running.start();
  stops.push(() => running.stop());
  return running;
}

function relay(): OutboxRelay {
  const running = new OutboxRelay({
    database: db,
    connection,
    outbox,
    inbox,
    databaseUrl: base.url,
    pollIntervalMs: 100,
  });
  running.start();
  stops.push(() => running.stop());
  return running;
}

const publish = (payload: unknown, msgID?: string): Promise<unknown> =>
  jetstream(connection).publish(happened.subject, JSON.stringify(payload), msgID === undefined ? {} : { msgID });

const stored = async (stream: string): Promise<number> =>
  (await (await jetstreamManager(connection)).streams.info(stream)).state.messages;

describe('provision', () => {
  it('may be repeated, creates everything once and keeps what is stored', async () => {
    await publish({ id: 'a', n: 1 });
    const again = await provision(connection);
    expect(again.created).toEqual([]);
    expect(again.updated).toHaveLength(STREAMS.length + CONSUMERS.length + 1);
    expect(await stored(EVENT_STREAM)).toBe(1);
  });
});

describe('an event', () => {
  it('comes again after its handler failed, and later each time', async () => {
    const counts: number[] = [];
    consume((_payload, { deliveryCount }) => {
      counts.push(deliveryCount);
      if (deliveryCount < 3) throw new Error('not yet');
    });
    await publish({ id: 'a', n: 1 });
    await waitFor(() => counts.length === 3);
    expect(counts).toEqual([1, 2, 3]);
  });

  it('is handled once although it is delivered twice, over a crash between commit and acknowledgement', async () => {
    let deliveries = 0;
    consume(async (_payload, { eventId }) => {
      deliveries++;
      await db.transaction(async (tx) => {
        await handledOnce(
          tx,
          inbox,
          'training',
          eventId,
          async () => void (await tx.execute('insert into demo.seen values (1)')),
        );
      });
      if (deliveries === 1) throw new Error('crashed after the commit');
    });
    await publish({ id: 'a', n: 1 }, 'evt-a');
    await waitFor(() => deliveries === 2);
    expect((await pool.query('select * from demo.seen')).rowCount).toBe(1);
  });

  it('is not marked as handled when the transaction of its handler fails', async () => {
    const failing = db.transaction((tx) => handledOnce(tx, inbox, 'c', 'e', () => Promise.reject(new Error('no'))));
    await expect(failing).rejects.toThrow('no');
    await expect(db.transaction((tx) => handledOnce(tx, inbox, 'c', 'e', () => Promise.resolve()))).resolves.toBe(true);
    await expect(db.transaction((tx) => handledOnce(tx, inbox, 'c', 'e', () => Promise.resolve()))).resolves.toBe(
      false,
    );
  });

  it('that does not match the contract becomes a dead letter with the issues, and blocks nobody', async () => {
    const handled: unknown[] = [];
    const outcomes: string[] = [];
    consume((payload) => void handled.push(payload), training(), {
      delivered: ({ outcome }) => void outcomes.push(outcome),
    });
    await publish({ id: 'a', n: 'x' });
    await publish({ id: 'a', n: 2 });
    await waitFor(() => outcomes.length === 2);
    expect([...outcomes].sort()).toEqual(['dead', 'handled']);
    expect(handled).toEqual([{ id: 'a', n: 2 }]);
    const manager = await jetstreamManager(connection);
    const letter = await manager.streams.getMessage(DEAD_STREAM, { last_by_subj: deadSubject('training') });
    expect(letter?.json<DeadLetter>()).toMatchObject({
      reason: 'invalid',
      issues: [{ path: 'n' }],
      payload: '{"id":"a","n":"x"}',
    });
    await waitFor(async () => (await manager.consumers.info(EVENT_STREAM, 'training')).num_ack_pending === 0);
  });

  it('whose handler fails at every try becomes a dead letter with the reason', async () => {
    consume(() => Promise.reject(new Error('always')), training({ maxDeliver: 3 }));
    await publish({ id: 'a', n: 1 });
    await waitFor(async () => (await stored(DEAD_STREAM)) === 1);
    const manager = await jetstreamManager(connection);
    const letter = await manager.streams.getMessage(DEAD_STREAM, { last_by_subj: deadSubject('training') });
    expect(letter?.json<DeadLetter>()).toMatchObject({
      reason: 'failed',
      deliveryCount: 3,
      issues: [{ message: 'always' }],
    });
  });

  it('is not delivered again while a slow handler still works on it', async () => {
    const manager = await jetstreamManager(connection);
    await manager.consumers.update(EVENT_STREAM, 'training', { ack_wait: 1_500_000_000 });
    let deliveries = 0;
    let done = false;
    consume(
      async () => {
        deliveries++;
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        done = true;
      },
      training({ ackWaitMs: 1_500 }),
    );
    await publish({ id: 'a', n: 1 });
    await waitFor(() => done);
    expect(deliveries).toBe(1);
  });

  it('is delivered after the server was killed and started again', async () => {
    const handled: unknown[] = [];
    consume((payload) => void handled.push(payload));
    await publish({ id: 'a', n: 1 });
    await waitFor(() => handled.length === 1);
    await nats.kill();
    await nats.restart();
    await waitFor(() => publish({ id: 'a', n: 2 }));
    await waitFor(() => handled.some((payload) => (payload as { n: number }).n === 2));
  });
});

describe('the outbox', () => {
  it('publishes what was committed, and nothing that was rolled back', async () => {
    relay();
    const handled: unknown[] = [];
    consume((payload) => void handled.push(payload));
    await db.transaction((tx) => enqueue(tx, outbox, happened, { id: 'kept', n: 1 }));
    const failing = db.transaction(async (tx) => {
      await enqueue(tx, outbox, happened, { id: 'lost', n: 1 });
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    await waitFor(() => handled.length === 1);
    expect(handled).toEqual([{ id: 'kept', n: 1 }]);
    expect((await pool.query('select * from demo.outbox')).rowCount).toBe(1);
  });

  it('takes the same event twice as one', async () => {
    await enqueue(db, outbox, happened, { id: 'a', n: 1 });
    await enqueue(db, outbox, happened, { id: 'a', n: 1 });
    expect((await pool.query('select * from demo.outbox')).rowCount).toBe(1);
  });

  it('waits while NATS is killed, and loses nothing', async () => {
    relay();
    const handled = new Set<number>();
    consume((payload) => void handled.add((payload as { n: number }).n));
    for (let n = 0; n < 10; n++) await enqueue(db, outbox, happened, { id: 'a', n });
    await nats.kill();
    for (let n = 10; n < 30; n++) await enqueue(db, outbox, happened, { id: 'a', n });
    await nats.restart();
    await waitFor(() => handled.size === 30);
  });

  it('publishes everything again when NATS was emptied and rebuilt, and consumers still handle it once', async () => {
    const running = relay();
    const deliveries: string[] = [];
    consume(async (_payload, { eventId }) => {
      deliveries.push(eventId);
      await db.transaction(async (tx) => {
        await handledOnce(
          tx,
          inbox,
          'training',
          eventId,
          async () => void (await tx.execute('insert into demo.seen values (1)')),
        );
      });
    });
    await enqueue(db, outbox, happened, { id: 'a', n: 1 });
    await waitFor(() => deliveries.length === 1);
    await nats.wipe();
    await waitFor(() => provision(connection));
    running.kick();
    await waitFor(() => deliveries.length >= 2);
    expect(new Set(deliveries).size).toBe(1);
    expect((await pool.query('select * from demo.seen')).rowCount).toBe(1);
  });
});

describe('the run stream', () => {
  it('keeps a line that is sent twice once', async () => {
    const bus = new MessageBus(connection);
    const message = {
      runId: newId('run'),
      attempt: 1,
      incarnation: 1,
      event: { type: 'heartbeat' as const, seq: 7, rank: 0, time: new Date().toISOString(), step: 3 },
    };
    await bus.publishRunMessage(message);
    await bus.publishRunMessage(message);
    expect(await stored(RUN_STREAM)).toBe(1);
  });
});

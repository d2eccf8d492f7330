import { jetstream } from '@nats-io/jetstream';
import type { ConsumerMessages, JsMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { z } from 'zod';
import { RUN_STREAM } from '@luthier/contracts';
import type { ConsumerSpec } from '@luthier/contracts';
import { DeadLetters } from './dead-letters.js';
import { KeyedQueue } from './keyed-queue.js';
import type { Delivery } from './on-event.js';
import { issuesOf } from './validation.js';

export interface EventHandler {
  /** Exact subject; undefined: every subject that has no handler of its own. */
  readonly subject: string | undefined;
  readonly schema: z.ZodType;
  handle(payload: unknown, delivery: Delivery): Promise<void> | void;
}

export type DeliveryOutcome = 'handled' | 'ignored' | 'retried' | 'dead';

/** Told once per delivery; must not throw. */
export interface DeliveryObserver {
  delivered(report: {
    consumer: string;
    delivery: Delivery;
    outcome: DeliveryOutcome;
    durationMs: number;
    cause?: unknown;
  }): void;
}

/** What waits in a durable consumer, whoever reads it. */
export interface ConsumerBacklog {
  consumer: string;
  /** Not delivered yet. */
  pending: number;
  /** Delivered, and neither acknowledged nor given up. */
  unacknowledged: number;
  /** Of these, delivered more than once. */
  redelivered: number;
}

export interface EventConsumerOptions {
  connection: NatsConnection;
  consumer: ConsumerSpec;
  handlers: readonly EventHandler[];
  /** Deliveries handled at the same time; lines of one run are never among them twice. @default 8 */
  concurrency?: number;
  observer?: DeliveryObserver;
  /** First pause before a failed delivery comes again; doubles each time, at most a minute. @default 500 */
  retryDelayMs?: number;
}

const REBIND_DELAY_MS = 500;
const BACKLOG_TIMEOUT_MS = 2_000;
/** A pull request that a restarted server has forgotten is noticed after two missing heartbeats. */
const PULL_MS = 10_000;
const HEARTBEAT_MS = 1_000;
const MAX_RETRY_DELAY_MS = 60_000;

/** Reads a durable pull consumer: acknowledges what was handled, retries what failed, gives up into a dead letter. */
export class EventConsumer {
  private messages: ConsumerMessages | undefined;
  private running: Promise<void> | undefined;
  private stopping = false;
  private readonly queue: KeyedQueue;
  private readonly dead: DeadLetters;
  private readonly concurrency: number;

  constructor(private readonly options: EventConsumerOptions) {
    this.concurrency = options.concurrency ?? 8;
    this.queue = new KeyedQueue(this.concurrency);
    this.dead = new DeadLetters(options.connection, options.consumer.name);
  }

  /** Returns at once; binds as soon as the consumer exists. */
  start(): void {
    this.running ??= this.run();
  }

  /** Takes no more deliveries and waits for those being handled; unhandled ones come again to the next process. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.messages?.stop();
    await this.running;
    await this.queue.idle();
  }

  /** Undefined while the consumer cannot be asked. */
  async backlog(): Promise<ConsumerBacklog | undefined> {
    const { connection, consumer } = this.options;
    try {
      const bound = await jetstream(connection, { timeout: BACKLOG_TIMEOUT_MS }).consumers.get(
        consumer.stream,
        consumer.name,
      );
      const { num_pending, num_ack_pending, num_redelivered } = await bound.info(true);
      return {
        consumer: consumer.name,
        pending: num_pending,
        unacknowledged: num_ack_pending,
        redelivered: num_redelivered,
      };
    } catch {
      return undefined;
    }
  }

  private async run(): Promise<void> {
    const { connection, consumer } = this.options;
    const js = jetstream(connection);
    while (!this.stopping && !connection.isClosed()) {
      try {
        const bound = await js.consumers.get(consumer.stream, consumer.name);
        this.messages = await bound.consume({
          max_messages: this.concurrency * 4,
          abort_on_missing_resource: true,
          expires: PULL_MS,
          idle_heartbeat: HEARTBEAT_MS,
        });
        if (this.stopping) this.messages.stop();
        for await (const message of this.messages) {
          const run = (): Promise<void> => this.deliver(message);
          await this.queue.add(this.orderKey(message), run);
        }
      } catch {
        // The stream or consumer does not exist (yet, or NATS was emptied), or the connection is down: bind again.
      }
      if (!this.stopping) await new Promise((resolve) => setTimeout(resolve, REBIND_DELAY_MS));
    }
  }

  /** Lines of one run keep their order; events of record need none, as handlers read the current state. */
  private orderKey(message: JsMsg): string {
    return this.options.consumer.stream === RUN_STREAM ? (message.subject.split('.')[3] ?? '') : `#${message.seq}`;
  }

  private async deliver(message: JsMsg): Promise<void> {
    const started = performance.now();
    const delivery: Delivery = {
      eventId: message.headers?.get('Nats-Msg-Id') || `${message.info.stream}:${message.seq}`,
      subject: message.subject,
      deliveryCount: message.info.deliveryCount,
      sequence: message.seq,
    };
    const beat = setInterval(() => message.working(), this.options.consumer.ackWaitMs / 3);
    let outcome: DeliveryOutcome;
    let cause: unknown;
    try {
      outcome = await this.handle(message, delivery);
    } catch (thrown) {
      cause = thrown;
      outcome = await this.retryOrGiveUp(message, delivery, thrown);
    } finally {
      clearInterval(beat);
    }
    this.options.observer?.delivered({
      consumer: this.options.consumer.name,
      delivery,
      outcome,
      durationMs: performance.now() - started,
      ...(cause !== undefined && { cause }),
    });
  }

  private async handle(message: JsMsg, delivery: Delivery): Promise<DeliveryOutcome> {
    const { handlers } = this.options;
    const handler =
      handlers.find(({ subject }) => subject === message.subject) ??
      handlers.find(({ subject }) => subject === undefined);
    if (!handler) {
      message.ack(); // the consumer's filter is wider than what this version handles
      return 'ignored';
    }
    const parsed = handler.schema.safeParse(readJson(message));
    if (!parsed.success) {
      await this.dead.bury(message, delivery, { reason: 'invalid', issues: issuesOf(parsed.error) });
      return 'dead';
    }
    await handler.handle(parsed.data, delivery);
    message.ack();
    return 'handled';
  }

  private async retryOrGiveUp(message: JsMsg, delivery: Delivery, thrown: unknown): Promise<DeliveryOutcome> {
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    if (delivery.deliveryCount >= this.options.consumer.maxDeliver) {
      try {
        await this.dead.bury(message, delivery, { reason: 'failed', issues: [{ path: '', message: text }] });
        return 'dead';
      } catch {
        return 'retried'; // not acknowledged and not buried: the stream keeps it, the advisory names it
      }
    }
    const delay = (this.options.retryDelayMs ?? 500) * 2 ** (delivery.deliveryCount - 1);
    message.nak(Math.min(delay, MAX_RETRY_DELAY_MS));
    return 'retried';
  }
}

function readJson(message: JsMsg): unknown {
  try {
    return message.json();
  } catch {
    return undefined; // fails every schema, and is buried with the raw text
  }
}

import { randomUUID } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import type { JetStreamClient } from '@nats-io/jetstream';
import { context, propagation } from '@opentelemetry/api';
import { RequestError, TimeoutError, headers } from '@nats-io/transport-node';
import type { NatsConnection } from '@nats-io/transport-node';
import type { z } from 'zod';
import { AppError, jobChangedSubject, runEventSubject, runStreamMessage } from '@luthier/contracts';
import type { RequestDefinition, RunStreamMessage } from '@luthier/contracts';
import { parsePayload } from './validation.js';
import { decodeReply, encodeRequest } from './wire.js';

/** Carries the id of the public request through every hop, for the logs. */
export const REQUEST_ID_HEADER = 'Luthier-Request-Id';

export interface RequestOptions {
  /** @default the definition's own */
  timeoutMs?: number;
  /** Asks again this long while nobody is subscribed (start-up order); safe, as nobody has seen the request. @default 0 */
  waitForServiceMs?: number;
  requestId?: string;
}

/** Typed requests and publishing over one NATS connection. Events of record go through the outbox instead. */
export class MessageBus {
  private readonly js: JetStreamClient;

  constructor(readonly connection: NatsConnection) {
    this.js = jetstream(connection);
  }

  /**
   * Asks the service that owns `definition` and returns its validated answer.
   * @throws AppError: the handler's own code; `request.invalid` before sending; `service.unavailable` when no instance
   * is subscribed; `request.timeout` when no answer came in time (the handler may still have acted).
   */
  async request<Req extends z.ZodType, Res extends z.ZodType>(
    definition: RequestDefinition<Req, Res>,
    payload: z.input<Req>,
    options: RequestOptions = {},
  ): Promise<z.output<Res>> {
    parsePayload(definition.request, payload);
    const patientUntil = Date.now() + (options.waitForServiceMs ?? 0);
    for (;;) {
      try {
        const text = await this.ask(definition, payload, options);
        return this.readAnswer(definition, decodeReply(definition.subject, text));
      } catch (thrown) {
        const absent = thrown instanceof AppError && thrown.code === 'service.unavailable';
        const fromHandler = thrown instanceof AppError && !(thrown.cause instanceof Error);
        const over = this.connection.isClosed() || Date.now() >= patientUntil;
        if (!absent || fromHandler || over) throw thrown;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Puts one line of a run onto the run stream; the same line published twice is kept once. */
  async publishRunMessage(message: RunStreamMessage): Promise<void> {
    const checked = parsePayload(runStreamMessage, message);
    await this.js.publish(runEventSubject(checked.runId, checked.event.type), JSON.stringify(checked), {
      msgID: runMessageId(checked),
      timeout: 5_000,
    });
  }

  /** Tells whoever shows this job live that it has new entries. Not kept: a hint to look, never the news itself. */
  pokeJob(jobId: string): void {
    if (!this.connection.isClosed()) this.connection.publish(jobChangedSubject(jobId));
  }

  /** Calls `listener` at each poke (`jobId` may be `*`). Returns the function that ends it. */
  onJobPoke(jobId: string, listener: (jobId: string) => void): () => void {
    const subscription = this.connection.subscribe(jobChangedSubject(jobId), {
      callback: (error, message) => {
        if (!error) listener(message.subject.slice(message.subject.lastIndexOf('.') + 1));
      },
    });
    return () => subscription.unsubscribe();
  }

  /**
   * Calls `listener` for each line that any replica puts onto the run stream from now on. A hint that the run lives:
   * lines may be missed.
   */
  onRunLine(listener: (line: { runId: string; type: string }) => void): () => void {
    const subscription = this.connection.subscribe(runEventSubject('*', '*'), {
      callback: (error, { subject }) => {
        const [type, runId] = subject.split('.').reverse();
        if (!error && runId !== undefined && type !== undefined) listener({ runId, type });
      },
    });
    return () => subscription.unsubscribe();
  }

  private async ask(definition: RequestDefinition, payload: unknown, options: RequestOptions): Promise<string> {
    const { subject } = definition;
    const timeout = options.timeoutMs ?? definition.timeoutMs;
    const head = headers();
    if (options.requestId !== undefined) head.set(REQUEST_ID_HEADER, options.requestId);
    // Where nothing is traced this adds nothing.
    propagation.inject(context.active(), head, { set: (into, key, value) => into.set(key, value) });
    try {
      const reply = await this.connection.request(subject, encodeRequest(subject, randomUUID(), payload), {
        timeout,
        headers: head,
      });
      return reply.string();
    } catch (cause) {
      if (cause instanceof TimeoutError || (cause instanceof RequestError && cause.cause instanceof TimeoutError)) {
        throw new AppError('request.timeout', `${definition.service} did not answer within ${timeout} ms`, { cause });
      }
      throw new AppError('service.unavailable', `${definition.service} is not there`, { cause });
    }
  }

  private readAnswer<Res extends z.ZodType>(
    definition: RequestDefinition<z.ZodType, Res>,
    answer: unknown,
  ): z.output<Res> {
    const parsed = definition.response.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw new AppError('internal', undefined, { cause: parsed.error });
  }
}

/** The same line of the same incarnation has the same id, so the stream's duplicate window drops a resent one. */
export function runMessageId(message: RunStreamMessage): string {
  const { runId, attempt } = message;
  if (!('incarnation' in message)) return `${runId}:${attempt}:event:${message.event.uid}:${message.event.count}`;
  const { incarnation, event } = message;
  const line = event.type === 'checkpoint-stored' ? `checkpoint:${event.step}` : `${event.rank}:${event.seq}`;
  return `${runId}:${attempt}:${incarnation}:${line}`;
}

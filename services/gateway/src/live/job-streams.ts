import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError, idOf, readJobStream } from '@luthier/contracts';
import type { ResponseOf } from '@luthier/contracts';
import type { MessageBus } from '@luthier/messaging';
import type { Logger } from '@luthier/service-kit';
import { SseWriter, plainHeaders } from './sse-writer.js';
import type { StreamSlots } from './stream-slots.js';
import { presentStreamData } from './stream-entry-presenter.js';

export interface JobStreamOptions {
  bus: MessageBus;
  logger: Logger;
  slots: StreamSlots;
  /** Looks for new entries at least so often: a poke may get lost. */
  pollMs: number;
  heartbeatMs: number;
}

type Batch = ResponseOf<typeof readJobStream>;
const jobIdSchema = idOf('job');

/**
 * Follows jobs live. Training numbers the entries of a job; a stream asks for what comes after the last number it has
 * sent, so nothing is sent twice and nothing is left out, however often it reconnects.
 */
export class JobStreams {
  private readonly ending = new AbortController();

  constructor(private readonly options: JobStreamOptions) {}

  /** Ends every stream; the readers reconnect to whoever is there then. */
  stop(): void {
    this.ending.abort();
  }

  /** @throws AppError `job.not-found`, `request.rate-limited`, before anything is sent. */
  async follow(
    jobId: string,
    lastEventId: number | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<void> {
    // A subject is made of the id: it must be one.
    if (!jobIdSchema.safeParse(jobId).success) throw new AppError('job.not-found', undefined, { param: 'job_id' });
    const release = this.options.slots.take();
    const left = new AbortController();
    reply.raw.once('close', () => left.abort());
    try {
      await this.stream(jobId, cursorOf(request, lastEventId), request, reply, left.signal);
    } finally {
      release();
    }
  }

  private async stream(
    jobId: string,
    after: number,
    request: FastifyRequest,
    reply: FastifyReply,
    left: AbortSignal,
  ): Promise<void> {
    const pokes = new Pokes();
    // Listening begins before the first look: what happens in between is a poke, and a poke is a look.
    const unsubscribe = this.options.bus.onJobPoke(jobId, () => pokes.poke());
    const signal = AbortSignal.any([left, this.ending.signal]);
    try {
      const first = await this.read(jobId, after);
      reply.hijack();
      const writer = new SseWriter(reply.raw, signal);
      writer.start(plainHeaders(reply), this.options.heartbeatMs);
      try {
        await this.pump(jobId, after, first, writer, pokes, signal);
      } catch (thrown) {
        if (!signal.aborted) {
          this.options.logger.warn({ op: 'job.stream', jobId, requestId: request.id, err: thrown });
        }
      } finally {
        writer.end();
      }
    } finally {
      unsubscribe();
    }
  }

  private async pump(
    jobId: string,
    from: number,
    first: Batch,
    writer: SseWriter,
    pokes: Pokes,
    signal: AbortSignal,
  ): Promise<void> {
    let cursor = from;
    let batch: Batch | undefined = first;
    while (!signal.aborted) {
      for (const entry of batch?.entries ?? []) {
        if (entry.id <= cursor) continue;
        await writer.event(entry.type, presentStreamData(entry), entry.id);
        cursor = entry.id;
      }
      if (batch && batch.entries.length === 0) {
        if (batch.ended) return writer.event('end', {});
        await pokes.wait(this.options.pollMs, signal);
      } else if (!batch) {
        await pokes.wait(this.options.pollMs, signal);
      }
      batch = signal.aborted ? undefined : await this.readPatiently(jobId, cursor);
    }
  }

  private read(jobId: string, after: number): Promise<Batch> {
    return this.options.bus.request(readJobStream, { jobId, after });
  }

  /** While training is away the stream stays open and asks again; a job that is gone ends it. */
  private async readPatiently(jobId: string, after: number): Promise<Batch | undefined> {
    try {
      return await this.read(jobId, after);
    } catch (thrown) {
      if (thrown instanceof AppError && thrown.retryable) return undefined;
      throw thrown;
    }
  }
}

/** `Last-Event-ID` of a reconnecting EventSource wins over the query, which its URL still carries. */
function cursorOf(request: FastifyRequest, fromQuery: number | undefined): number {
  const header = request.headers['last-event-id'];
  if (typeof header === 'string' && header !== '') {
    const value = /^\d{1,15}$/.test(header) ? Number(header) : undefined;
    if (value !== undefined) return value;
    throw new AppError('request.invalid', 'Last-Event-ID must be a number of this stream', { param: 'last_event_id' });
  }
  return fromQuery ?? 0;
}

/** Remembers one poke that came while nobody waited. */
class Pokes {
  private pending = false;
  private wake: (() => void) | undefined;

  poke(): void {
    this.pending = true;
    this.wake?.();
  }

  async wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (!this.pending && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        signal.addEventListener('abort', () => resolve(), { once: true });
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = undefined;
    }
    this.pending = false;
  }
}

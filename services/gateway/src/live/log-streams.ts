import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError, getJob, isTerminalJobStatus, logCursor, readRunLog } from '@luthier/contracts';
import type { JobRecord, ResponseOf } from '@luthier/contracts';
import type { MessageBus } from '@luthier/messaging';
import type { Logger } from '@luthier/service-kit';
import { SseWriter, plainHeaders } from './sse-writer.js';
import type { StreamSlots } from './stream-slots.js';

export interface LogStreamsOptions {
  bus: MessageBus;
  logger: Logger;
  slots: StreamSlots;
  /** Between two looks while nothing new is written. */
  pollMs: number;
  heartbeatMs: number;
}

interface LogOfJob {
  jobId: string;
  node: number;
  /** Of the end of the log, to begin with. */
  tailBytes: number;
  /** Where an earlier stream ended. */
  after?: string | undefined;
}

type Piece = ResponseOf<typeof readRunLog>;

/**
 * Follows the logs of runs. The trainer says with each piece where it ends; a stream asks for what comes after that, so
 * nothing is sent twice and nothing is left out, whichever trainer answers and however often either side reconnects.
 */
export class LogStreams {
  private readonly ending = new AbortController();

  constructor(private readonly options: LogStreamsOptions) {}

  /** Ends every stream; the readers reconnect to whoever is there then. */
  stop(): void {
    this.ending.abort();
  }

  /** @throws AppError `job.not-found`, `request.rate-limited`, `request.invalid`, before anything is sent. */
  async follow(log: LogOfJob, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const after = cursorOf(request, log.after);
    const job = await this.options.bus.request(getJob, { jobId: log.jobId });
    const release = this.options.slots.take();
    const left = new AbortController();
    reply.raw.once('close', () => left.abort());
    const signal = AbortSignal.any([left.signal, this.ending.signal]);
    reply.hijack();
    const writer = new SseWriter(reply.raw, signal);
    writer.start(plainHeaders(reply), this.options.heartbeatMs);
    try {
      await this.pump({ ...log, after }, job, writer, signal);
    } catch (err) {
      if (!signal.aborted)
        this.options.logger.warn({ op: 'job.log-stream', jobId: log.jobId, requestId: request.id, err });
    } finally {
      writer.end();
      release();
    }
  }

  private async pump(log: LogOfJob, first: JobRecord, writer: SseWriter, signal: AbortSignal): Promise<void> {
    let { runId, status } = first;
    let cursor = log.after;
    while (!signal.aborted) {
      const piece = runId === null ? undefined : await this.read(runId, log, cursor);
      cursor = piece?.cursor ?? cursor;
      if (piece && piece.text !== '') {
        await writer.event('log', { text: piece.text, truncated: piece.truncated }, piece.cursor);
        continue;
      }
      // The status before the last look: what was written until the end is then read.
      if (isTerminalJobStatus(status)) return writer.event('end', {});
      await sleep(this.options.pollMs, undefined, { signal }).catch(() => undefined);
      const job = await this.patiently(() => this.options.bus.request(getJob, { jobId: log.jobId }));
      if (job === undefined) continue;
      ({ runId, status } = job); // perhaps a smaller run in its place
    }
  }

  /** Undefined: there is nothing yet, or nobody who could say so. */
  private async read(
    runId: string,
    { node, tailBytes }: LogOfJob,
    after: string | undefined,
  ): Promise<Piece | undefined> {
    const asked = { runId, node, tailBytes, ...(after !== undefined && { after }) };
    return this.patiently(() => this.options.bus.request(readRunLog, asked));
  }

  /** While somebody is away the stream stays open and asks again. */
  private async patiently<T>(ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (thrown) {
      if (thrown instanceof AppError && (thrown.retryable || thrown.code === 'run.not-found')) return undefined;
      throw thrown;
    }
  }
}

/** `Last-Event-ID` of a reconnecting EventSource wins over the query, which its URL still carries. */
function cursorOf(request: FastifyRequest, fromQuery: string | undefined): string | undefined {
  const header = request.headers['last-event-id'];
  if (typeof header !== 'string' || header === '') return fromQuery;
  if (logCursor.safeParse(header).success) return header;
  throw new AppError('request.invalid', 'Last-Event-ID must be one of this stream', { param: 'last_event_id' });
}

import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import {
  AppError,
  attachAnswer,
  checkpointAnswer,
  endpointError,
  eventsAnswer,
  listObjectsAnswer,
  objectUrlsAnswer,
  orders,
  outcomeAnswer,
} from '@luthier/contracts';
import type { AttachAnswer, Orders, RunOutcome, RuntimeEvent } from '@luthier/contracts';
import type { StoredFile } from './files.js';

const REQUEST_TIMEOUT_MS = 15_000;
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
const FIRST_RETRY_MS = 200;
const MAX_RETRY_MS = 10_000;

export interface EndpointOptions {
  url: string;
  runId: string;
  attachToken: string;
  /** Which of the run's nodes asks. */
  node: number;
  onOrders: (orders: Orders) => void;
}

/**
 * The runner's side of the run endpoint. Each call is one try with a time-out; `persistently` repeats. Errors are
 * AppErrors: the endpoint's own code, or `storage.unreachable` when no answer came.
 */
export class EndpointClient {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 4 });
  private token: string;
  private attached = false;
  private lastBeat = { step: 0, memoryMib: 0 };

  constructor(private readonly options: EndpointOptions) {
    this.token = options.attachToken;
  }

  async attach(attempt: number, podUid: string): Promise<AttachAnswer> {
    const answer = await this.post('attach', { attempt, podUid }, attachAnswer);
    this.token = answer.token;
    this.attached = true;
    return answer;
  }

  async heartbeat(step: number, memoryMib: number): Promise<void> {
    this.lastBeat = { step, memoryMib };
    this.obey(await this.ask('heartbeat', this.lastBeat, orders));
  }

  /** @returns the highest sequence number published, per rank. */
  async events(events: readonly RuntimeEvent[]): Promise<Record<string, number>> {
    const answer = await this.post('events', { events }, eventsAnswer);
    this.obey(answer.orders);
    return answer.acknowledged;
  }

  /** Where an object is read, or written with this size, for the next minutes. */
  async objectUrl(operation: 'read' | 'write', uri: string, sizeBytes?: number): Promise<string> {
    const body = { operation, uris: [uri], ...(sizeBytes !== undefined && { sizesBytes: [sizeBytes] }) };
    const [given] = (await this.post('objects', body, objectUrlsAnswer)).urls;
    if (!given) throw new AppError('storage.unreachable', 'The run endpoint gave no URL');
    return given.url;
  }

  async list(prefix: string): Promise<{ uri: string; sizeBytes: number }[]> {
    return (await this.post('list', { prefix }, listObjectsAnswer)).objects;
  }

  reportCheckpoint(step: number, files: readonly StoredFile[]): Promise<z.output<typeof checkpointAnswer>> {
    return this.post('checkpoint', { step, node: this.options.node, files }, checkpointAnswer);
  }

  async reportOutcome(outcome: RunOutcome): Promise<void> {
    await this.post('outcome', { outcome, node: this.options.node }, outcomeAnswer);
  }

  /**
   * Repeats `work` while it fails for a reason that may pass, the last time at `deadlineMs` (epoch).
   * @throws the last error when that has passed, or at once when repeating cannot help.
   */
  async persistently<T>(work: () => Promise<T>, deadlineMs: () => number, signal?: AbortSignal): Promise<T> {
    for (let pauseMs = FIRST_RETRY_MS; ; pauseMs = Math.min(MAX_RETRY_MS, pauseMs * 2)) {
      try {
        return await work();
      } catch (cause) {
        const passing = cause instanceof AppError && cause.retryable && cause.code !== 'disk.full';
        const leftMs = deadlineMs() - Date.now();
        if (!passing || signal?.aborted || leftMs <= 0) throw cause;
        await sleep(Math.min(pauseMs, leftMs), undefined, signal ? { signal } : {}).catch(() => undefined);
      }
    }
  }

  close(): void {
    this.agent.destroy();
  }

  private obey(given: Orders): void {
    if (given.token !== undefined) this.token = given.token;
    this.options.onOrders(given);
  }

  /** A token that ran out while nobody answered is renewed by a heartbeat alone. */
  private async post<Schema extends z.ZodType>(verb: string, body: unknown, schema: Schema): Promise<z.output<Schema>> {
    try {
      return await this.ask(verb, body, schema);
    } catch (cause) {
      if (!this.attached || !(cause instanceof AppError) || cause.code !== 'auth.wrong-key') throw cause;
      await this.heartbeat(this.lastBeat.step, this.lastBeat.memoryMib);
      return this.ask(verb, body, schema);
    }
  }

  private async ask<Schema extends z.ZodType>(verb: string, body: unknown, schema: Schema): Promise<z.output<Schema>> {
    const { status, text } = await this.send(verb, JSON.stringify(body));
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch (cause) {
      throw new AppError('storage.unreachable', `The run endpoint answered ${status} with something unreadable`, {
        cause,
      });
    }
    if (status !== 200) {
      const known = endpointError.safeParse(parsed);
      if (known.success) throw new AppError(known.data.code, known.data.message);
      throw new AppError('storage.unreachable', `The run endpoint answered ${status}`);
    }
    const answer = schema.safeParse(parsed);
    if (answer.success) return answer.data;
    throw new AppError('storage.unreachable', `The run endpoint's answer to ${verb} has an unknown form`, {
      cause: answer.error,
    });
  }

  private send(verb: string, body: string): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown): void =>
        reject(new AppError('storage.unreachable', 'The run endpoint cannot be reached', { cause }));
      const call = request(
        `${this.options.url}/runs/${this.options.runId}/${verb}`,
        {
          method: 'POST',
          agent: this.agent,
          timeout: REQUEST_TIMEOUT_MS,
          signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
          headers: {
            authorization: `Bearer ${this.token}`,
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          let sizeBytes = 0;
          response.on('data', (chunk: Buffer) => {
            sizeBytes += chunk.length;
            if (sizeBytes > MAX_ANSWER_BYTES) response.destroy(new Error('the answer is too long'));
            else chunks.push(chunk);
          });
          response.on('error', fail);
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
          );
        },
      );
      call.on('error', fail);
      call.end(body);
    });
  }
}

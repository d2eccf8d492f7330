import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';

/** Server-sent events on a raw response; a slow reader slows the writer down. */
export class SseWriter {
  private heartbeat: NodeJS.Timeout | undefined;

  constructor(
    private readonly response: ServerResponse,
    private readonly signal: AbortSignal,
  ) {}

  /** Sends the head, and from then on a comment every `heartbeatMs` so that proxies keep the connection. */
  start(headers: Readonly<Record<string, string>>, heartbeatMs: number): void {
    this.response.writeHead(200, {
      ...headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      connection: 'keep-alive',
      'x-accel-buffering': 'no',
    });
    this.response.write(': connected\n\n');
    this.heartbeat = setInterval(() => {
      if (!this.response.writableNeedDrain) this.response.write(': still here\n\n');
    }, heartbeatMs);
  }

  /** Resolves when the reader may be sent more. @throws AbortError when it has left. */
  async event(type: string, data: unknown, id?: number | string): Promise<void> {
    const head = id === undefined ? '' : `id: ${id}\n`;
    const room = this.response.write(`${head}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
    if (!room) await once(this.response, 'drain', { signal: this.signal });
  }

  end(): void {
    clearInterval(this.heartbeat);
    this.response.end();
  }
}

/** The headers that a reply has so far, for an answer that is written past it. */
export const plainHeaders = (reply: FastifyReply): Record<string, string> =>
  Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]));

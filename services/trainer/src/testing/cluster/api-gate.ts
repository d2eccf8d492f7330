import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { ControlPlane } from '@luthier/testing/kube';
import type { Judge } from './calls.js';

/** A way to the API server that can be cut. One trainer goes through it. */
export class ApiGate {
  private readonly sockets = new Set<Socket>();
  private readonly agent: Agent;

  private constructor(
    private readonly target: URL,
    ca: string,
    private readonly judge: Judge,
    private readonly cut: () => void,
    private readonly server: Server,
  ) {
    this.agent = new Agent({ keepAlive: true, ca, maxSockets: 64 });
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    server.on('request', (asked, answer) => void this.pass(asked, answer).catch(() => answer.destroy()));
  }

  /** @param cut called when `judge` lets the trainer die. */
  static async open(cluster: ControlPlane, judge: Judge, cut: () => void): Promise<ApiGate> {
    const server = createServer({ requestTimeout: 0 });
    const gate = new ApiGate(new URL(cluster.server), await readFile(cluster.caFile, 'utf8'), judge, cut, server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return gate;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** At once, for good. */
  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    this.agent.destroy();
  }

  private async pass(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = asked;
    const body = await buffer(asked);
    const verdict =
      method === 'GET' ? 'pass' : this.judge({ what: `${method} ${kindOf(url)}`, about: url + String(body) });
    if (verdict === 'die-before') return this.cut();
    const { host: _host, connection: _connection, ...headers } = asked.headers;
    const forwarded = request(new URL(url, this.target), { method, headers, agent: this.agent });
    answer.on('close', () => forwarded.destroy());
    forwarded.on('error', () => answer.destroy());
    forwarded.on('response', (response) => {
      if (verdict === 'die-after') return this.cut();
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
      response.on('error', () => answer.destroy());
    });
    forwarded.end(body);
  }
}

/** `/apis/batch/v1/namespaces/x/jobs/y` is about jobs. */
const kindOf = (url: string): string => {
  const path = new URL(url, 'http://x').pathname.split('/');
  const at = path.indexOf('namespaces');
  return path[at + 2] ?? path.at(-1) ?? '';
};

import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo, Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import type { ControlPlane } from '@luthier/testing/kube';
import type { Judge } from './calls.js';

/** Events of a watch that are kept back. */
interface Hold {
  /** `pods`, ... */
  kind: string;
  fits: (line: string) => boolean;
  kept: (() => void)[];
}

/** A way to the API server that can be cut. One trainer goes through it. */
export class ApiGate {
  private readonly sockets = new Set<Socket>();
  private readonly holds = new Set<Hold>();
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

  /** A watch that is behind: what of its lines fits is told only when the answer is called. */
  holdBack(kind: string, fits: (line: string) => boolean): () => void {
    const hold: Hold = { kind, fits, kept: [] };
    this.holds.add(hold);
    return () => {
      this.holds.delete(hold);
      for (const tell of hold.kept) tell();
    };
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
      response.on('error', () => answer.destroy());
      if (new URL(url, this.target).searchParams.has('watch'))
        void this.passLines(kindOf(url), response, answer).catch(() => answer.destroy());
      else response.pipe(answer);
    });
    forwarded.end(body);
  }

  private async passLines(kind: string, response: IncomingMessage, answer: ServerResponse): Promise<void> {
    answer.flushHeaders();
    for await (const line of createInterface({ input: response })) {
      const tell = (): void => void answer.write(`${line}\n`);
      const hold = [...this.holds].find((one) => one.kind === kind && one.fits(line));
      if (hold) hold.kept.push(tell);
      else tell();
    }
    answer.end();
  }
}

/** `/apis/batch/v1/namespaces/x/jobs/y` is about jobs. */
const kindOf = (url: string): string => {
  const path = new URL(url, 'http://x').pathname.split('/');
  const at = path.indexOf('namespaces');
  return path[at + 2] ?? path.at(-1) ?? '';
};

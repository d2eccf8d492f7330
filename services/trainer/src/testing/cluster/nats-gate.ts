import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Judge } from './calls.js';

const STATUS_WRITE = /H?PUB \$KV\.LUTHIER_RUNS\.run-\w+\.status /;

/** A way to NATS that can be cut. One trainer goes through it; what it writes into statuses is seen. */
export class NatsGate {
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly port: number,
    private readonly judge: Judge,
    private readonly cut: () => void,
    private readonly server: Server,
  ) {
    server.on('connection', (socket) => this.pass(socket));
  }

  static async open(port: number, judge: Judge, cut: () => void): Promise<NatsGate> {
    const server = createServer();
    const gate = new NatsGate(port, judge, cut, server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return gate;
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private pass(inner: Socket): void {
    const outer = connect(this.port, '127.0.0.1');
    for (const [socket, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      this.sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
    outer.on('data', (chunk) => inner.write(chunk));
    // The client sends a message's head and body in one piece.
    inner.on('data', (chunk) => {
      const text = chunk.toString('latin1');
      const verdict = STATUS_WRITE.test(text) ? this.judge({ what: 'PUT status', about: text }) : 'pass';
      if (verdict === 'die-before') return this.cut();
      outer.write(chunk);
      // Its acknowledgement is the sign that the server has it.
      if (verdict === 'die-after') {
        outer.removeAllListeners('data');
        outer.once('data', () => this.cut());
      }
    });
  }
}

import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** What a Service is to the run endpoint: one address for whichever trainer serves now. */
export class Front {
  private readonly sockets = new Set<Socket>();
  private port: number | undefined;

  private constructor(private readonly server: Server) {
    server.on('connection', (inner) => {
      if (this.port === undefined) return void inner.destroy();
      const outer = connect(this.port, '127.0.0.1');
      for (const socket of [inner, outer]) {
        this.sockets.add(socket);
        socket.on('close', () => this.sockets.delete(socket));
      }
      inner.on('error', () => outer.destroy()).on('close', () => outer.destroy());
      outer.on('error', () => inner.destroy()).on('close', () => inner.destroy());
      inner.pipe(outer).pipe(inner);
    });
  }

  static async open(): Promise<Front> {
    const server = createServer();
    const front = new Front(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return front;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** @param port undefined: nobody serves. Connections to the last one end. */
  lead(port: number | undefined): void {
    this.port = port;
    for (const socket of this.sockets) socket.destroy();
  }

  close(): void {
    this.lead(undefined);
    this.server.close();
  }
}

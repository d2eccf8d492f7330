import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import type { ConnectionOptions, NatsConnection } from '@nats-io/transport-node';
import { endProcess, identityOf, startNats as launch } from '@luthier/local-servers';
import type { NatsProcess } from '@luthier/local-servers';
import { steadyPort } from './steady-port.js';

export interface TestNats {
  readonly url: string;
  readonly port: number;
  /** Of the server that runs now. */
  readonly pid: number;
  /** A connection that `stop()` closes. */
  connect(options?: ConnectionOptions): Promise<NatsConnection>;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts it again on the same port with the same streams. */
  restart(): Promise<void>;
  /** Kills it and starts it again empty, on the same port. */
  wipe(): Promise<void>;
  /** Closes connections, ends the server, removes its files. */
  stop(): Promise<void>;
}

/** A real nats-server with JetStream of one's own, ready in about 50 ms; ends with this process whatever happens to it. */
export async function startNats(options: { configuration?: string } = {}): Promise<TestNats> {
  const dir = await mkdtemp(join(tmpdir(), 'luthier-nats-'));
  await chmod(dir, 0o700);
  const start = (at: number): Promise<NatsProcess> => launch({ dir, ephemeral: true, port: at, ...options });
  let server = await start(await steadyPort());
  const { port, url } = server;
  const connections: NatsConnection[] = [];
  const kill = async (): Promise<void> => {
    const identity = await identityOf(server.pid);
    if (identity) await endProcess(identity, 'SIGKILL', 0);
  };
  const restart = async (): Promise<void> => {
    server = await start(port);
    if (server.port !== port) throw new Error(`port ${port} was taken by somebody else`);
  };
  return {
    url,
    port,
    get pid() {
      return server.pid;
    },
    connect: async (connectionOptions = {}) => {
      const connection = await connect({
        servers: url,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 50,
        reconnectJitter: 0,
        ...connectionOptions,
      });
      connections.push(connection);
      return connection;
    },
    kill,
    restart,
    wipe: async () => {
      await kill();
      await rm(join(dir, 'jetstream'), { recursive: true, force: true });
      await restart();
    },
    stop: async () => {
      await Promise.all(connections.map((connection) => connection.close()));
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

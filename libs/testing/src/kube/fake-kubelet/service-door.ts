import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { Service } from '../objects.js';
import { podsOf } from './cluster-names.js';
import type { NamedPod } from './cluster-names.js';

/** A Service as whoever is outside of the pods reaches it. */
export interface ServiceDoor {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Listens on a port of 127.0.0.1 whose connections go to the ready pods of a Service in turn. A connection that is there
 * stays with its pod, also when that is told to go; where no pod is ready it is refused.
 * @param look the Service, and who there is, now.
 */
export async function openServiceDoor(
  look: () => { service: Service | undefined; pods: readonly NamedPod[] },
): Promise<ServiceDoor> {
  const open = new Set<Socket>();
  let turn = 0;
  const keep = (socket: Socket): void => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  };
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (client) => {
    keep(client);
    client.on('error', () => client.destroy());
    const { service, pods } = look();
    const behind = service ? podsOf(service, pods) : [];
    const pod = behind[turn++ % Math.max(1, behind.length)];
    if (!service || !pod) {
      client.resetAndDestroy();
      return;
    }
    const target = connect({ host: pod.podIP, port: targetPort(service, pod), noDelay: true });
    keep(target);
    target.on('error', () => client.destroy());
    target.once('close', () => client.destroy());
    client.once('close', () => target.destroy());
    client.pipe(target);
    target.pipe(client);
    client.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Of its first port; a name is that of a port of the pod. */
function targetPort({ metadata, spec }: Service, { pod }: NamedPod): number {
  const [first] = spec?.ports ?? [];
  const wanted = first?.targetPort ?? first?.port;
  const ports = pod.spec.containers.flatMap((container) => container.ports ?? []);
  const found = typeof wanted === 'number' ? wanted : ports.find(({ name }) => name === wanted)?.containerPort;
  if (found === undefined) throw new Error(`service ${metadata.name} leads to no port of pod ${pod.metadata.name}`);
  return found;
}

import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** The kernel gives ports from 32768 on to whoever connects or listens anywhere; nobody is given one below. */
const KERNELS_FIRST = 32_768;
const FIRST = 16_384;
const DRAWS_MAX = 100;

/**
 * A port of 127.0.0.1 that nobody listens on: `wanted` if it is free, otherwise any that most likely stays so until a
 * server takes it, and while that server is begun again.
 */
export async function freePort(wanted = 0): Promise<number> {
  if (wanted !== 0 && (await tryPort(wanted)) !== undefined) return wanted;
  for (let draw = 0; draw < DRAWS_MAX; draw += 1) {
    const port = await tryPort(randomInt(FIRST, KERNELS_FIRST));
    if (port !== undefined) return port;
  }
  return (await tryPort(0)) ?? Promise.reject(new Error('no port of 127.0.0.1 is free'));
}

/** So many free ports, each another one, and none of `others`. */
export async function freePorts(count: number, others: readonly number[] = []): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = await freePort();
    if (!others.includes(port)) ports.add(port);
  }
  return [...ports];
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(undefined));
    probe.listen(port, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : undefined));
    });
  });
}

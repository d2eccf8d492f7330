import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { freePort, freePorts } from './free-port.js';

const listen = (port: number): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

describe('a free port', () => {
  it('is the wanted one, or another one while somebody listens there', async () => {
    const wanted = await freePort();
    expect(await freePort(wanted)).toBe(wanted);
    const server = await listen(wanted);
    expect(await freePort(wanted)).not.toBe(wanted);
    await close(server);
  });

  it('is none that the kernel gives to others', async () => {
    const taken = await listen(0);
    const { port } = taken.address() as AddressInfo;
    for (const found of [await freePort(), await freePort(port)]) {
      expect(found).toBeGreaterThanOrEqual(16_384);
      expect(found).toBeLessThan(32_768);
    }
    await close(taken);
  });

  it('is another one for each of those that are asked for together', async () => {
    const other = await freePort();
    const ports = await freePorts(300, [other]);
    expect(new Set([other, ...ports]).size).toBe(301);
  });
});

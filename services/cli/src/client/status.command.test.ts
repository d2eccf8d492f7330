import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Command } from 'commander';
import { addStatusCommand } from './status.command.js';

const part = (name: string, ready: boolean, message = '') => ({ name, ready, message });

describe('luthier status', () => {
  let server: Server;
  let url: string;
  let status: unknown;
  beforeAll(async () => {
    server = createServer((_, response) => {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(status));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server.close());
  afterEach(() => {
    process.exitCode = 0;
    jest.restoreAllMocks();
  });

  async function luthierStatus(): Promise<string> {
    const said = jest.spyOn(console, 'log').mockImplementation(() => undefined);
    const program = new Command();
    addStatusCommand(program);
    await program.parseAsync(['status', '--url', url, '--key', 'k'], { from: 'user' });
    return said.mock.calls.map(([line]) => String(line)).join('\n');
  }

  it('names every part, and exits 1 when one does not answer', async () => {
    status = { version: '0.1.0', ready: false, parts: [part('nats', true), part('training', false, 'no answer')] };
    const lines = ['Luthier 0.1.0: not ready', 'PART      STATE', 'nats      ready', 'training  not ready  no answer'];
    expect(await luthierStatus()).toBe(lines.join('\n'));
    expect(process.exitCode).toBe(1);
  });

  it('exits 0 when all are ready', async () => {
    status = { version: '0.1.0', ready: true };
    expect(await luthierStatus()).toBe('Luthier 0.1.0: ready');
    expect(process.exitCode ?? 0).toBe(0);
  });
});

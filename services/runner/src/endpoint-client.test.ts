import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { AppError, newId } from '@luthier/contracts';
import { EndpointClient } from './endpoint-client.js';

const HASH = 'a'.repeat(64);

describe('what is repeated', () => {
  const client = new EndpointClient({
    ...{ url: 'http://127.0.0.1:1', runId: newId('run'), attachToken: 'a', node: 0, onOrders: () => undefined },
  });
  afterAll(() => client.close());

  it('is tried a last time at its deadline, also where the next pause would be longer', async () => {
    const deadline = Date.now() + 300; // within the second pause
    const work = (): Promise<string> =>
      Date.now() < deadline ? Promise.reject(new AppError('storage.unreachable')) : Promise.resolve('done');
    expect(await client.persistently(work, () => deadline)).toBe('done');
  });

  it('ends with its last error when the deadline has passed, or repeating cannot help', async () => {
    let tries = 0;
    const failing = (code: 'storage.unreachable' | 'disk.full') => (): Promise<never> => {
      tries += 1;
      return Promise.reject(new AppError(code, `try ${tries}`));
    };
    await expect(client.persistently(failing('storage.unreachable'), () => 0)).rejects.toThrow('try 1');
    const never = (): number => Number.POSITIVE_INFINITY;
    await expect(client.persistently(failing('disk.full'), never)).rejects.toThrow('try 2');
  });
});

describe('a token that ran out while the endpoint was away', () => {
  let server: Server;
  let client: EndpointClient;
  let valid: string;
  let beatsRenew: boolean;
  let calls: string[];
  beforeEach(async () => {
    valid = 'first';
    beatsRenew = true;
    calls = [];
    server = createServer((request, response) => {
      const verb = request.url?.split('/').at(-1) ?? '';
      const token = request.headers.authorization?.split(' ')[1];
      calls.push(verb);
      const answer = (status: number, body: object): void => void response.writeHead(status).end(JSON.stringify(body));
      if (verb === 'attach') {
        const request = { requestUri: 'artifact://runs/x/request.json', requestSha256: HASH };
        return answer(200, { incarnation: 1, token: 'first', ...request });
      }
      if (verb === 'heartbeat' && beatsRenew) return answer(200, { checkpointRequest: 0, token: (valid = 'second') });
      if (token !== valid) return answer(401, { code: 'auth.wrong-key', message: 'not known' });
      answer(200, { acknowledged: { '0': 7 }, orders: { checkpointRequest: 0 } });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    client = new EndpointClient({ url, runId: newId('run'), attachToken: 'a', node: 0, onOrders: () => undefined });
    await client.attach(1, 'pod');
    calls = [];
  });
  afterEach(() => {
    client.close();
    server.close();
  });

  it('is renewed by a heartbeat, and the call is made again', async () => {
    valid = 'none';
    expect(await client.events([])).toEqual({ '0': 7 });
    expect(calls).toEqual(['events', 'heartbeat', 'events']);
  });

  it('that cannot be renewed is an error, and nothing is asked for ever', async () => {
    valid = 'none';
    beatsRenew = false;
    await expect(client.events([])).rejects.toMatchObject({ code: 'auth.wrong-key' });
    expect(calls).toEqual(['events', 'heartbeat']);
  });
});

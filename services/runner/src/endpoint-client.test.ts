import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { newId } from '@luthier/contracts';
import { EndpointClient } from './endpoint-client.js';

const HASH = 'a'.repeat(64);

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

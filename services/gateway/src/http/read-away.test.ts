import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import fastify from 'fastify';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Logger } from '@luthier/service-kit';
import { waitFor } from '@luthier/testing';
import type { Authenticator } from '../auth/authenticator.js';
import { readAway } from './read-away.js';
import { serveRoutes } from './serve-routes.js';

const MIB = 1024 * 1024;
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** The public routes without any route, on a web server of their own. */
async function serve(): Promise<number> {
  const app = fastify({ forceCloseConnections: true });
  closing.push(() => app.close());
  const parts = { bindings: [], authenticator: {} as Authenticator, logger: {} as Logger };
  await app.register((scope, _options, done) => {
    serveRoutes(scope, { ...parts, bodyLimitBytes: MIB });
    done();
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  return (app.server.address() as AddressInfo).port;
}

interface Client {
  socket: Socket;
  /** What the server has said so far. */
  read: () => string;
}
async function open(port: number): Promise<Client> {
  const socket = connect(port, '127.0.0.1');
  closing.push(() => socket.destroy());
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => (text += part));
  socket.on('error', () => undefined); // seen as its closing
  await once(socket, 'connect');
  return { socket, read: () => text };
}
async function expectAnswer({ socket, read }: Client, text: string): Promise<void> {
  await waitFor(() => read().includes(text) || socket.destroyed, { what: text });
  expect(read()).toContain(text);
}
const head = (more: string): string =>
  `POST /v1/x HTTP/1.1\r\nhost: luthier\r\ncontent-type: application/json\r\n${more}\r\n\r\n`;

describe('a body that is refused before it was sent', () => {
  it.each([
    ['too large by what its head says', 'application/json', 413],
    ['of a type that is not taken', 'text/plain', 400],
  ])('(%s) may be sent to its end, and the connection serves the next request', async (_why, type, status) => {
    const client = await open(await serve());
    const sizeBytes = 8 * MIB;
    client.socket.write(head(`content-length: ${sizeBytes}`).replace('application/json', type));
    await expectAnswer(client, `HTTP/1.1 ${status}`);
    client.socket.write(Buffer.alloc(sizeBytes, 'x'));
    client.socket.write('GET /v1/next HTTP/1.1\r\nhost: luthier\r\n\r\n');
    await expectAnswer(client, 'There is no GET /v1/next');
  });

  it('may be sent to its end also where only its size as it comes says that it is too large', async () => {
    const client = await open(await serve());
    const piece = `${MIB.toString(16)}\r\n${'x'.repeat(MIB)}\r\n`;
    client.socket.write(head('transfer-encoding: chunked') + piece + piece);
    await expectAnswer(client, 'HTTP/1.1 413');
    for (let count = 0; count < 8; count++) client.socket.write(piece);
    client.socket.write('0\r\n\r\nGET /v1/next HTTP/1.1\r\nhost: luthier\r\n\r\n');
    await expectAnswer(client, 'There is no GET /v1/next');
  });

  it('is not read for ever', async () => {
    const refused = Promise.withResolvers<IncomingMessage>();
    const server = createServer((request, response) => {
      response.writeHead(413).end();
      readAway(request, 20);
      refused.resolve(request);
    });
    closing.push(() => server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { socket } = await open((server.address() as AddressInfo).port);
    socket.write(head('content-length: 1000'));
    await once(socket, 'close');
    expect((await refused.promise).complete).toBe(false);
  });

  it('that has come does not end its connection afterwards', async () => {
    const requests: IncomingMessage[] = [];
    const server = createServer((request, response) => {
      readAway(request, 1);
      requests.push(request);
      response.end('got');
    });
    closing.push(() => server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = await open((server.address() as AddressInfo).port);
    for (let count = 1; count <= 20; count++) {
      client.socket.write(`${head('content-length: 4')}body`);
      await waitFor(() => client.read().split('got').length > count);
    }
    expect([client.socket.destroyed, new Set(requests.map(({ socket }) => socket)).size]).toEqual([false, 1]);
  });
});

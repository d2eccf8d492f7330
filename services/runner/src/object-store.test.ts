import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { newId } from '@luthier/contracts';
import { tempDir } from '@luthier/testing';
import { EndpointClient } from './endpoint-client.js';
import { ObjectStore } from './object-store.js';

const URI = 'artifact://models/model-1/weights.bin';
const content = randomBytes(300_000);
const sha256 = createHash('sha256').update(content).digest('hex');

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
const whole: Answer = (_request, response) => void response.writeHead(200).end(content);
const status =
  (code: number): Answer =>
  (request, response) => {
    request.resume();
    response.writeHead(code).end('no');
  };
const startOf = ({ headers }: IncomingMessage): number => Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
const rest: Answer = (request, response) => {
  const from = startOf(request);
  response.writeHead(from > 0 ? 206 : 200).end(content.subarray(from));
};
/** Says that there is everything, and breaks off after some of it. */
const broken: Answer = (request, response) => {
  const from = startOf(request);
  response.writeHead(from > 0 ? 206 : 200, { 'content-length': content.length - from });
  response.write(content.subarray(from, from + 100_000), () => setImmediate(() => response.destroy()));
};

describe("a run's objects, over a storage that misbehaves", () => {
  let server: Server;
  let client: EndpointClient;
  let answers: Answer[];
  /** Of each request for the object: its URL's number and the range. */
  let asked: [number, string | undefined][];
  let urls: number;
  let dir: string;
  const store = (patienceMs = 5_000): ObjectStore => new ObjectStore(client, patienceMs);
  const fetchInto = (expected = {}, patienceMs?: number, signal = new AbortController().signal): Promise<string> =>
    store(patienceMs).fetch(
      URI,
      join(dir, 'a/weights.bin'),
      { sha256, fault: 'model.unreadable', ...expected },
      signal,
    );

  beforeEach(async () => {
    [answers, asked, urls] = [[], [], 0];
    dir = await tempDir('objects');
    server = createServer((request, response) => {
      const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      if (request.method === 'POST') {
        return void response.end(JSON.stringify({ urls: [{ uri: URI, url: `${base}/object?n=${++urls}` }] }));
      }
      asked.push([Number(request.url?.split('=')[1]), request.headers.range]);
      (answers.shift() ?? status(500))(request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    client = new EndpointClient({ url, runId: newId('run'), attachToken: 'a', node: 0, onOrders: () => undefined });
  });
  afterEach(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });

  it('comes with a fresh URL when one has run out or the storage was away', async () => {
    answers = [status(403), status(503), whole];
    expect(content.equals(await readFile(await fetchInto()))).toBe(true);
    expect(asked.map(([url]) => url)).toEqual([1, 2, 3]);
  });

  it('goes on where the connection broke, and asks for no byte twice', async () => {
    answers = [broken, broken, rest];
    expect(content.equals(await readFile(await fetchInto({ sizeBytes: content.length })))).toBe(true);
    const starts = asked.map(([, range]) => Number(/\d+/.exec(range ?? '0')?.[0]));
    expect(new Set(starts).size).toBe(3);
    expect(starts).toEqual(starts.toSorted((one, other) => one - other));
  });

  it('begins anew where the storage knows no ranges', async () => {
    answers = [broken, whole];
    expect(content.equals(await readFile(await fetchInto()))).toBe(true);
  });

  it('is the fault that was named when it is another object, after it was asked for twice', async () => {
    const other: Answer = (_request, response) => void response.end('another');
    answers = [other, other, whole];
    await expect(fetchInto()).rejects.toMatchObject({ code: 'model.unreadable' });
    expect(await readdir(join(dir, 'a'))).toEqual([]);
  });

  it('is not read beyond the size that was promised', async () => {
    let sent = 0;
    const endless: Answer = (_request, response) => {
      response.writeHead(200);
      const more = (): void => {
        if (!response.destroyed && sent < 50_000_000) response.write(content, () => ((sent += content.length), more()));
      };
      more();
    };
    answers = [endless, endless];
    await expect(fetchInto({ sizeBytes: 1_000 })).rejects.toMatchObject({ code: 'model.unreadable' });
    expect(sent).toBeLessThan(50_000_000);
  });

  it('is the fault that was named when it is not there, at once', async () => {
    answers = [status(404), whole];
    await expect(fetchInto()).rejects.toMatchObject({ code: 'model.unreadable' });
    expect(asked).toHaveLength(1);
  });

  it('is given up when nothing has come for so long', async () => {
    await expect(fetchInto({}, 300)).rejects.toMatchObject({ code: 'storage.unreachable' });
  });

  it('is given up at once when the run leaves', async () => {
    const leaving = new AbortController();
    answers = [() => leaving.abort()]; // and never an answer
    await expect(fetchInto({}, 60_000, leaving.signal)).rejects.toMatchObject({ code: 'storage.unreachable' });
  });

  it('is stored whole, with a fresh URL for each try', async () => {
    const source = join(dir, 'source.bin');
    await writeFile(source, content);
    const received: Buffer[] = [];
    const take: Answer = (request, response) => {
      request.on('data', (chunk: Buffer) => received.push(chunk));
      request.on('end', () => response.writeHead(200).end());
    };
    const cut: Answer = (request) => void request.once('data', () => request.destroy());
    answers = [status(403), cut, take];
    await store().store(source, URI, () => Number.POSITIVE_INFINITY, new AbortController().signal);
    expect(content.equals(Buffer.concat(received))).toBe(true);
    expect(asked.map(([url]) => url)).toEqual([1, 2, 3]);
  });

  it('is not tried for hours when the storage is full', async () => {
    const source = join(dir, 'source.bin');
    await writeFile(source, content);
    answers = [status(507)];
    const storing = store().store(source, URI, () => Number.POSITIVE_INFINITY, new AbortController().signal);
    await expect(storing).rejects.toMatchObject({ code: 'disk.full' });
  });

  it('is named by no error: its URL is a secret', async () => {
    server.closeAllConnections();
    answers = Array.from({ length: 9 }, () => status(403));
    const error: unknown = await fetchInto({}, 300).catch((cause: unknown) => cause);
    const texts: string[] = [];
    for (let one = error; one instanceof Error; one = one.cause) texts.push(one.message, JSON.stringify(one));
    expect(texts.join('\n')).not.toContain('object?n=');
  });
});

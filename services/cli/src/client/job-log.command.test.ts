import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Command } from 'commander';
import { addApiCommands } from './api-commands.js';

describe('luthier jobs log', () => {
  let server: Server;
  afterEach(() => {
    jest.restoreAllMocks();
    server.closeAllConnections();
    server.close();
  });

  /** What the command prints against a platform that answers so. */
  async function run(
    args: string[],
    answer: (url: URL, lastEventId: string | undefined, response: ServerResponse) => void,
  ): Promise<string> {
    server = createServer((request, response) => {
      const last = request.headers['last-event-id'];
      answer(new URL(request.url ?? '/', 'http://x'), typeof last === 'string' ? last : undefined, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    let printed = '';
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => ((printed += String(text)), true));
    const program = new Command().exitOverride();
    addApiCommands(program);
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await program.parseAsync(['jobs', 'log', 'ftjob-1', ...args, '--url', url, '--key', 'k'], { from: 'user' });
    return printed;
  }
  const piece = (id: string, text: string): string =>
    `id: ${id}\nevent: log\ndata: ${JSON.stringify({ text, truncated: false })}\n\n`;
  const json = (response: ServerResponse, status: number, body: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

  it('prints the end of the log, of the node that is asked for', async () => {
    const printed = await run(['--node', '2'], (url, _last, response) => {
      expect(`${url.pathname} ${url.searchParams.get('node')}`).toBe('/api/v1/jobs/ftjob-1/log 2');
      json(response, 200, { text: 'step 1\n', truncated: false });
    });
    expect(printed).toBe('step 1\n');
  });

  it('follows it, over a cut connection, until the job has ended', async () => {
    const asked: (string | undefined)[] = [];
    const printed = await run(['--follow'], (_url, last, response) => {
      asked.push(last);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      if (asked.length > 1) return void response.end(`${piece('b', 'step 2\n')}event: end\ndata: {}\n\n`);
      response.write(`: connected\n\n${piece('a', 'step 1\n')}`, () => setImmediate(() => response.destroy()));
    });
    expect(printed).toBe('step 1\nstep 2\n');
    expect(asked).toEqual([undefined, 'a']);
  });

  it('says at once what no waiting changes', async () => {
    const refused = run(['--follow'], (_url, _last, response) =>
      json(response, 404, { code: 'job.not-found', title: 'There is no such job', status: 404 }),
    );
    await expect(refused).rejects.toMatchObject({ status: 404 });
  });
});

import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, createClient, toApiError, unwrap } from '@luthier/api-client';
import type { Command } from 'commander';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import type { EventSourceMessage } from 'eventsource-parser/stream';
import { keyOf, withTarget } from './target.js';
import type { Target } from './target.js';

interface LogOptions extends Target {
  node: string;
  follow?: boolean;
}

const TAIL_BYTES = 65_536;
const PAUSE_MS = 1_000;
/** So often in a row the platform may be away. */
const MAX_FAILURES = 60;

/** `luthier jobs log`: what the run of a job has written, or writes. */
export function addJobLogCommand(jobs: Command): void {
  withTarget(jobs.command('log <job>'))
    .description("print the end of the log of a job's run")
    .option('--follow', 'go on with what is written, until the job has ended')
    .option('--node <number>', 'which node of a run on several', '0')
    .action(async (job: string, _options: LogOptions, command: Command) => {
      // `jobs` has flags of the same names, and takes them wherever they stand.
      const options = command.optsWithGlobals<LogOptions>();
      if (options.follow === true) return follow(job, options);
      const client = createClient({ baseUrl: options.url, apiKey: await keyOf(options) });
      const query = { tail_bytes: TAIL_BYTES, node: Number(options.node) };
      const params = { path: { job_id: job }, query };
      process.stdout.write((await unwrap(client.GET('/api/v1/jobs/{job_id}/log', { params }))).text);
    });
}

/** Prints pieces as they come; a cut stream is taken up again after the last one. */
async function follow(job: string, options: LogOptions): Promise<void> {
  let last: string | undefined;
  for (let failures = 0; failures < MAX_FAILURES; failures += 1) {
    try {
      for await (const { event, id, data } of await open(job, options, last)) {
        if (event === 'end') return;
        if (event !== 'log') continue;
        process.stdout.write((JSON.parse(data) as { text: string }).text);
        [last, failures] = [id ?? last, 0];
      }
    } catch (error) {
      // What the platform itself answers does not change by asking again, unless it says so.
      if (error instanceof ApiError && error.status < 500 && error.status !== 429) throw error;
    }
    await sleep(PAUSE_MS);
  }
  throw new Error('The platform does not answer; the run may go on without being watched.');
}

async function open(
  job: string,
  options: LogOptions,
  last: string | undefined,
): Promise<AsyncIterable<EventSourceMessage>> {
  const url = new URL(`/api/v1/jobs/${encodeURIComponent(job)}/log/stream`, options.url);
  url.searchParams.set('tail_bytes', String(TAIL_BYTES));
  url.searchParams.set('node', options.node);
  const response = await fetch(url, {
    headers: {
      Authorization: `Bearer ${await keyOf(options)}`,
      ...(last !== undefined && { 'Last-Event-ID': last }),
    },
  });
  if (!response.ok || !response.body) throw toApiError(response, await response.json().catch(() => null));
  return response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
}

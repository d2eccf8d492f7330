import { openAsBlob } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { createClient, toApiError, uploadFile } from '@luthier/api-client';
import { Option } from 'commander';
import type { Command } from 'commander';
import { readCliEnvironment } from '../cli.config.js';

interface Target {
  url: string;
  key?: string;
}

/** The key given, or that of the installation on this machine. */
async function keyOf({ key }: Target): Promise<string> {
  if (key !== undefined) return key;
  const home = readCliEnvironment().home ?? join(homedir(), '.luthier');
  return (await readFile(join(home, 'api-key'), 'utf8')).trim();
}

const print = (value: unknown): void => console.log(JSON.stringify(value, null, 2));

async function call(target: Target, method: string, path: string, body?: string): Promise<unknown> {
  const response = await fetch(new URL(path, target.url), {
    method,
    headers: {
      Authorization: `Bearer ${await keyOf(target)}`,
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
    },
    ...(body !== undefined && { body }),
    signal: AbortSignal.timeout(300_000),
  });
  const text = await response.text();
  const json: unknown = text === '' ? null : JSON.parse(text);
  if (!response.ok) throw toApiError(response, json);
  return json;
}

/** A client for every public operation: `luthier api`, and short forms for the common ones. */
export function addApiCommands(program: Command): void {
  const environment = readCliEnvironment();
  const withTarget = (command: Command): Command =>
    command
      .addOption(new Option('--url <url>', 'address of the platform (LUTHIER_URL)').default(environment.url))
      .addOption(new Option('--key <key>', 'API key (LUTHIER_API_KEY)').default(environment.apiKey));

  withTarget(program.command('api <method> <path>'))
    .description('call any public route, e.g. luthier api GET /v1/models')
    .option('--data <json>', 'body, or @file')
    .action(async (method: string, path: string, options: Target & { data?: string }) => {
      const data = options.data?.startsWith('@') ? await readFile(options.data.slice(1), 'utf8') : options.data;
      print(await call(options, method.toUpperCase(), path, data));
    });

  withTarget(program.command('upload <file>'))
    .description('upload a file of training rows')
    .option('--purpose <purpose>', 'what it is for', 'fine-tune')
    .action(async (file: string, options: Target & { purpose: 'fine-tune' }) => {
      const client = createClient({ baseUrl: options.url, apiKey: await keyOf(options) });
      print(
        await uploadFile(client, {
          content: await openAsBlob(file),
          filename: basename(file),
          purpose: options.purpose,
        }),
      );
    });

  withTarget(program.command('jobs'))
    .description('list the fine-tuning jobs')
    .action(async (options: Target) => print(await call(options, 'GET', '/v1/fine_tuning/jobs')));
  withTarget(program.command('cancel <job>'))
    .description('cancel a job; its last checkpoint is kept')
    .action(async (job: string, options: Target) =>
      print(await call(options, 'POST', `/v1/fine_tuning/jobs/${encodeURIComponent(job)}/cancel`)),
    );
}

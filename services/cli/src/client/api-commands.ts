import { openAsBlob } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { createClient, uploadFile } from '@luthier/api-client';
import type { Command } from 'commander';
import { addClusterCommand } from './cluster.command.js';
import { addJobLogCommand } from './job-log.command.js';
import { addStatusCommand } from './status.command.js';
import { call, keyOf, withTarget } from './target.js';
import type { Target } from './target.js';

const print = (value: unknown): void => console.log(JSON.stringify(value, null, 2));

interface RestartOptions {
  sameNode?: boolean;
  attempt?: number;
}

/** A client for every public operation: `luthier api`, and short forms for the common ones. */
export function addApiCommands(program: Command): void {
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

  const jobs = withTarget(program.command('jobs'))
    .description('list the fine-tuning jobs')
    .action(async (options: Target) => print(await call(options, 'GET', '/v1/fine_tuning/jobs')));
  addJobLogCommand(jobs);
  withTarget(program.command('cancel <job>'))
    .description('cancel a job; its last checkpoint is kept')
    .action(async (job: string, options: Target) =>
      print(await call(options, 'POST', `/v1/fine_tuning/jobs/${encodeURIComponent(job)}/cancel`)),
    );
  withTarget(program.command('restart <job>'))
    .description('end the attempt of a job that hangs or whose node is lost; the next one goes on from its checkpoint')
    .option('--same-node', 'also on the node where it is now')
    .option('--attempt <number>', 'the attempt meant; once it has ended nothing more happens', Number)
    .action(async (job: string, { sameNode, attempt, ...target }: Target & RestartOptions) => {
      const body = JSON.stringify({ avoid_node: sameNode !== true, attempt });
      print(await call(target, 'POST', `/v1/fine_tuning/jobs/${encodeURIComponent(job)}/restart`, body));
    });
  addClusterCommand(program);
  addStatusCommand(program);
}

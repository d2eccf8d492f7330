import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { toApiError } from '@luthier/api-client';
import { Option } from 'commander';
import type { Command } from 'commander';
import { readCliEnvironment } from '../cli.config.js';

/** Which platform a client command talks to. */
export interface Target {
  url: string;
  key?: string;
}

/** The key given, or that of the installation on this machine. */
export async function keyOf({ key }: Target): Promise<string> {
  if (key !== undefined) return key;
  const home = readCliEnvironment().home ?? join(homedir(), '.luthier');
  return (await readFile(join(home, 'api-key'), 'utf8')).trim();
}

/** @throws ApiError for an answer that is none. */
export async function call(target: Target, method: string, path: string, body?: string): Promise<unknown> {
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

export function withTarget(command: Command): Command {
  const environment = readCliEnvironment();
  return command
    .addOption(new Option('--url <url>', 'address of the platform (LUTHIER_URL)').default(environment.url))
    .addOption(new Option('--key <key>', 'API key (LUTHIER_API_KEY)').default(environment.apiKey));
}

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';

const MEASURED = join(import.meta.dirname, '../peers/measured.py');

/** What a program and its children took of the machine, from start to end. */
export interface Taken {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Of the largest process. */
  readonly peakMemoryMib: number;
}

/** Runs `command`; `name` says where its log and its figures lie. @throws Error with the end of the log when it fails. */
export async function runMeasured(
  python: string,
  name: string,
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Taken> {
  const log = createWriteStream(`${name}.log`);
  await once(log, 'open');
  const child = spawn(python, [MEASURED, `${name}.taken.json`, ...command], {
    stdio: ['ignore', log, log],
    env: { ...process.env, ...env },
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) {
    const said = await readFile(`${name}.log`, 'utf8');
    throw new Error(`${command.join(' ')} ended with ${code}:\n${said.slice(-4_000)}`);
  }
  return JSON.parse(await readFile(`${name}.taken.json`, 'utf8')) as Taken;
}

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';

/** How `measured.py` ends a program that takes too long. */
const OUT_OF_TIME = 124;
const MEASURED = join(import.meta.dirname, '../peers/measured.py');

/** What a program and its children took of the machine, from start to end. */
export interface Taken {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Of the largest process. */
  readonly peakMemoryMib: number;
}

export class OutOfTime extends Error {
  constructor(readonly taken: Taken) {
    super(`not done within ${taken.seconds} s`);
  }
}

export interface Limits {
  readonly timeoutMs: number;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Runs `command`; `name` says where its log and its figures lie.
 * @throws OutOfTime when it takes too long; Error with the end of the log when it fails.
 */
export async function runMeasured(
  python: string,
  name: string,
  command: readonly string[],
  { timeoutMs, env = {} }: Limits,
): Promise<Taken> {
  const log = createWriteStream(`${name}.log`);
  await once(log, 'open');
  const child = spawn(python, [MEASURED, `${name}.taken.json`, String(timeoutMs / 1_000), ...command], {
    stdio: ['ignore', log, log],
    env: { ...process.env, ...env },
  });
  const [code] = (await once(child, 'close')) as [number | null];
  const taken = async (): Promise<Taken> => JSON.parse(await readFile(`${name}.taken.json`, 'utf8')) as Taken;
  if (code === OUT_OF_TIME) throw new OutOfTime(await taken());
  if (code !== 0) {
    const said = await readFile(`${name}.log`, 'utf8');
    throw new Error(`${command.join(' ')} ended with ${code}:\n${said.slice(-4_000)}`);
  }
  return taken();
}

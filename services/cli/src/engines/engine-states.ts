import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { capabilities } from '@luthier/contracts';

const run = promisify(execFile);
/** Loading PyTorch from a slow disk takes most of it. */
const TIMEOUT_MS = 120_000;

export interface EngineState {
  readonly runtime: string;
  readonly engine: string;
  readonly usable: boolean;
  /** Why not. */
  readonly reason?: string;
}

/** Gives what starts a runtime; throws when it is not set up, with what sets it up. */
export type FindCommand = () => Promise<readonly string[]>;

/** What each runtime says that it can compute with here. One that cannot be asked is an engine that cannot be used. */
export async function engineStates(runtimes: Readonly<Record<string, FindCommand>>): Promise<EngineState[]> {
  const states = Object.entries(runtimes).map(([runtime, find]) => statesOf(runtime, find));
  return (await Promise.all(states)).flat();
}

async function statesOf(runtime: string, find: FindCommand): Promise<EngineState[]> {
  try {
    const [file = '', ...args] = await find();
    const { stdout } = await run(file, [...args, 'capabilities'], { timeout: TIMEOUT_MS });
    const { engines } = capabilities.parse(JSON.parse(stdout));
    return engines.map(({ name, usable, reason }) => ({
      ...{ runtime, engine: name, usable },
      ...(reason !== undefined && { reason }),
    }));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return [{ runtime, engine: runtime, usable: false, reason }];
  }
}

import { availableParallelism, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { findPythonEnvironment } from '@luthier/local-servers';
import { localRunMemoryMib } from '@luthier/planner';
import type { StandaloneConfig } from './standalone.config.js';

const inServices = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** What runs of this machine are placed on. @throws Error when the runtime that was chosen cannot be used. */
export async function localProfile(config: StandaloneConfig) {
  return {
    name: 'local-cpu',
    runtime: `runtime-${config.localRuntime}`,
    command: await runtimeCommand(config.localRuntime),
    device: 'cpu' as const,
    devices: 0,
    slots: 1,
    // On one machine the run is what the user waits for; answers leave it a core (see inference).
    cpus: availableParallelism(),
    memoryMib: config.runMemoryMib ?? localRunMemoryMib(totalmem()),
  };
}

export type LocalRuntime = StandaloneConfig['localRuntime'];

/** What starts a runtime on this machine. @throws Error when it is not set up, with what sets it up. */
export const runtimeCommand = async (runtime: LocalRuntime): Promise<string[]> =>
  runtime === 'torch' ? torchCommand() : nodeCommand();

const nodeCommand = (): string[] => [process.execPath, inServices('runtime-node/dist/main.js')];

async function torchCommand(): Promise<string[]> {
  const lockFile = inServices('runtime-torch/requirements.lock');
  const python = await findPythonEnvironment({ name: 'runtime-torch', lockFile });
  if (python === undefined)
    throw new Error('The PyTorch runtime has no Python environment yet: `node scripts/torch-env.mjs` makes it.');
  return [python, inServices('runtime-torch/main.py')];
}

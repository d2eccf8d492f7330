import type { Command } from 'commander';
import { table } from '../client/table.js';
import { loadStandalone } from '../load-standalone.js';
import { engineStates } from './engine-states.js';
import type { EngineState } from './engine-states.js';

/** `luthier engines`: what this machine can compute runs with, and why not with the rest. */
export function addEnginesCommand(program: Command): void {
  program
    .command('engines')
    .description('show what this machine can compute runs with, and what is missing for the rest; starts nothing')
    .option('--json', 'print them as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const { runtimeCommand } = await loadStandalone();
      const states = await engineStates({
        'runtime-node': () => runtimeCommand('node'),
        'runtime-torch': () => runtimeCommand('torch'),
      });
      console.log(json === true ? JSON.stringify(states, null, 2) : enginesText(states));
    });
}

/** As a table for people. */
export function enginesText(states: readonly EngineState[]): string {
  const rows = states.map(({ runtime, engine, usable, reason }) => [
    runtime,
    engine,
    usable ? 'yes' : 'no',
    reason ?? '',
  ]);
  return table(['RUNTIME', 'ENGINE', 'USABLE', 'WHY NOT'], rows);
}

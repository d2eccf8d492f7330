import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { z } from 'zod';
import { addApiCommands } from './client/api-commands.js';
import { addDemoCommand } from './demo/demo.command.js';
import { addEnginesCommand } from './engines/engines.command.js';
import { addPlanCommand } from './plan/plan.command.js';
import { addProvisionCommand } from './provision.command.js';
import { addStartCommand } from './start.command.js';

/** The version of this package. */
const VERSION = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))).version;

/** The `luthier` command with all of its subcommands; docs/reference/cli.md describes every one (a test compares). */
export function luthierProgram(): Command {
  const program = new Command('luthier')
    .description('Turn an open language model into your own.')
    .version(VERSION)
    .showHelpAfterError()
    .configureHelp({ sortSubcommands: true });
  addStartCommand(program);
  addDemoCommand(program);
  addApiCommands(program);
  addPlanCommand(program);
  addEnginesCommand(program);
  addProvisionCommand(program);
  return program;
}

import { Command } from 'commander';
import { addApiCommands } from './client/api-commands.js';
import { addDemoCommand } from './demo/demo.command.js';
import { addProvisionCommand } from './provision.command.js';
import { addStartCommand } from './start.command.js';

/** The `luthier` command with all of its subcommands; docs/reference/cli.md describes every one (a test compares). */
export function luthierProgram(): Command {
  const program = new Command('luthier')
    .description('Turn an open language model into your own.')
    .showHelpAfterError()
    .configureHelp({ sortSubcommands: true });
  addStartCommand(program);
  addDemoCommand(program);
  addApiCommands(program);
  addProvisionCommand(program);
  return program;
}

#!/usr/bin/env node
import { Command } from 'commander';
import { addApiCommands } from './client/api-commands.js';
import { EndAsked } from './end-signal.js';
import { addDemoCommand } from './demo/demo.command.js';
import { describeFailure } from './failure.js';
import { addProvisionCommand } from './provision.command.js';
import { addStartCommand } from './start.command.js';

const program = new Command('luthier')
  .description('Turn an open language model into your own.')
  .showHelpAfterError()
  .configureHelp({ sortSubcommands: true });
addStartCommand(program);
addDemoCommand(program);
addApiCommands(program);
addProvisionCommand(program);

program.parseAsync().catch((thrown: unknown) => {
  process.stderr.write(`${describeFailure(thrown)}\n`);
  process.exitCode = thrown instanceof EndAsked ? 130 : 1;
});

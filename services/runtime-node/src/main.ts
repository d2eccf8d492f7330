import { runCommand } from './run-command.js';
import { endWithParent } from './control/run-control.js';

// SIGTERM keeps its default effect: leave at once, saving nothing.
endWithParent(process.stdin, () => process.exit(1));
const status = await runCommand(process.argv.slice(2), console.log, console.error);
process.exit(status);

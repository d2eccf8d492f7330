import { EXIT } from '@luthier/contracts';
import { listenToControlPipe } from './control-pipe.js';
import { Run } from './run.js';
import { readRunnerConfig } from './runner.config.js';

const config = readRunnerConfig();
const run = new Run(config);
if (config.control === 'pipe') {
  listenToControlPipe(process.stdin, {
    onOrder: (order) => {
      if (order.type === 'stop') run.requests.stop();
      else run.requests.checkpoint(order.request);
    },
    onEnd: () => run.requests.leave('the executor is gone'),
  });
}
process.on('SIGTERM', () => run.requests.stop());
process.on('SIGINT', () => run.requests.stop());
run.requests.on('leave', () => {
  // Whatever hangs, this process and everything it started end: it leads their process group.
  void run.abandon().finally(() => {
    try {
      process.kill(-process.pid, 'SIGKILL');
    } finally {
      process.exit(EXIT.storageUnreachable); // not a group leader: started by hand
    }
  });
});

let status: number;
try {
  status = await run.execute();
} catch (cause) {
  process.stderr.write(`${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}\n`);
  await run.abandon();
  status = EXIT.storageUnreachable;
}
process.exit(status);

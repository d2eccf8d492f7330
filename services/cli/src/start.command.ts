import type { Command } from 'commander';
import { endSignal, untilAborted } from './end-signal.js';
import { loadStandalone } from './load-standalone.js';
import { signInLine } from './sign-in-line.js';

/** `luthier start`: the platform on this machine, until Ctrl-C. */
export function addStartCommand(program: Command): void {
  program
    .command('start')
    .description('start the platform on this machine')
    .option('--home <folder>', 'where everything is kept (LUTHIER_HOME)')
    .option('--port <port>', 'port of dashboard and API (LUTHIER_PORT)', Number)
    .action(async (options: { home?: string; port?: number }) => {
      const { startPlatform } = await loadStandalone();
      const say = (line: string): void => console.log(`luthier: ${line}`);
      const signal = endSignal(() => say('ending… (again: at once)'));
      const platform = await startPlatform({ ...options, say, signal });
      say(`dashboard and API: ${platform.url}`);
      say(await signInLine(platform.apiKeyFile, process.stdout));
      say('Ctrl-C ends it; what runs goes on from its last checkpoint at the next start');
      await untilAborted(signal);
      await platform.stop();
    });
}

import { createClient, unwrap } from '@luthier/api-client';
import type { Command } from 'commander';
import { plain, table } from './table.js';
import { keyOf, withTarget } from './target.js';
import type { Target } from './target.js';

/** `luthier status`: whether every part of the platform answers. */
export function addStatusCommand(program: Command): void {
  withTarget(program.command('status'))
    .description('show whether every part of the platform answers (if not, it exits 1)')
    .action(async (options: Target) => {
      const client = createClient({ baseUrl: options.url, apiKey: await keyOf(options) });
      const { version, ready, parts = [] } = await unwrap(client.GET('/api/v1/status'));
      const rows = parts.map((part) => [part.name, part.ready ? 'ready' : 'not ready', part.message]);
      console.log(plain(`Luthier ${version}: ${ready ? 'ready' : 'not ready'}`));
      if (rows.length > 0) console.log(table(['PART', 'STATE', ''], rows));
      if (!ready) process.exitCode = 1;
    });
}

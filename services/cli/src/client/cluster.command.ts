import { createClient, unwrap } from '@luthier/api-client';
import { Argument } from 'commander';
import type { Command } from 'commander';
import { clusterText, findingsText } from './cluster-text.js';
import { keyOf, withTarget } from './target.js';
import type { Target } from './target.js';

type What = 'show' | 'doctor';
interface ClusterOptions extends Target {
  json?: boolean;
}

/** `luthier cluster show|doctor`: what there is to run on, and what is wrong with it. */
export function addClusterCommand(program: Command): void {
  withTarget(program.command('cluster'))
    .description('show what there is to run on, or look for what is wrong with it (then it exits 1)')
    .addArgument(new Argument('<what>', 'show or doctor').choices(['show', 'doctor']))
    .option('--json', 'print the answer as JSON')
    .action(async (what: What, options: ClusterOptions) => {
      const client = createClient({ baseUrl: options.url, apiKey: await keyOf(options) });
      if (what === 'show') {
        const cluster = await unwrap(client.GET('/api/v1/cluster'));
        console.log(options.json === true ? JSON.stringify(cluster, null, 2) : clusterText(cluster));
        return;
      }
      const findings = await unwrap(client.GET('/api/v1/cluster/doctor'));
      console.log(options.json === true ? JSON.stringify(findings, null, 2) : findingsText(findings));
      if (!findings.ok) process.exitCode = 1;
    });
}

import { connectNats, provision } from '@luthier/messaging';
import { Option } from 'commander';
import type { Command } from 'commander';

interface ProvisionOptions {
  nats: string;
  user?: string;
  password?: string;
  replicas: '1' | '3' | '5';
}

const REPLICAS = { '1': 1, '3': 3, '5': 5 } as const;

/** `luthier provision`: streams, consumers and the bucket that services bind to. Safe to repeat. */
export function addProvisionCommand(program: Command): void {
  program
    .command('provision')
    .description('create or update the NATS streams, consumers and bucket that the services bind to')
    .requiredOption('--nats <url>', 'NATS servers, separated by commas')
    .option('--user <user>', 'a user that may administer JetStream')
    .option('--password <password>', 'its password')
    .addOption(
      new Option('--replicas <number>', 'copies of each stream in a NATS cluster')
        .choices(['1', '3', '5'])
        .default('1'),
    )
    .action(async ({ nats, user, password, replicas }: ProvisionOptions) => {
      const connection = await connectNats({
        servers: nats,
        name: 'provision',
        ...(user !== undefined && { user }),
        ...(password !== undefined && { pass: password }),
      });
      try {
        const { created, updated } = await provision(connection, { replicas: REPLICAS[replicas] });
        for (const name of created) console.log(`created ${name}`);
        for (const name of updated) console.log(`up to date: ${name}`);
      } finally {
        await connection.close();
      }
    });
}

import type { DynamicModule, Type } from '@nestjs/common';
import { bootstrap } from './bootstrap.js';
import type { BootstrapOptions } from './bootstrap.js';
import { ConfigError, loadConfig, printConfig } from './config.js';
import type { BaseConfig, ConfigDefinition, ConfigFields, ConfigOf } from './config.js';
import { databaseOf } from './database.module.js';
import { migrateDatabase } from './migrate.js';

/**
 * A service as a process of its own: `main.ts` is one call of this. Reads the environment, knows `--print-config`
 * and `--migrate` (the tables alone are brought up to date), ends in order on SIGTERM and SIGINT (a second signal ends at
 * once), exits 1 when it cannot start, 78 when misconfigured.
 */
export async function runService<Fields extends ConfigFields>(
  definition: ConfigDefinition<Fields>,
  module: (config: ConfigOf<ConfigDefinition<Fields>>) => Type | DynamicModule,
  options?: (config: ConfigOf<ConfigDefinition<Fields>>) => BootstrapOptions,
): Promise<void> {
  try {
    const config = loadConfig(definition, process.env);
    if (process.argv.includes('--print-config')) {
      process.stdout.write(`${printConfig(definition, config)}\n`);
      return;
    }
    if (process.argv.includes('--migrate')) {
      await migrateTables(definition.service, module(config));
      return;
    }
    // Every definition spreads `baseFields`; the compiler cannot see that through the generic.
    const service = await bootstrap(module(config), config as unknown as BaseConfig, options?.(config));
    let asked = false;
    const end = (): void => {
      if (asked) process.exit(130);
      asked = true;
      void service.stop().finally(() => process.exit(0));
    };
    process.on('SIGTERM', end);
    process.on('SIGINT', end);
  } catch (cause) {
    const text =
      cause instanceof ConfigError
        ? cause.message
        : cause instanceof Error
          ? (cause.stack ?? cause.message)
          : String(cause);
    process.stderr.write(`${text}\n`);
    process.exit(cause instanceof ConfigError ? 78 : 1);
  }
}

async function migrateTables(service: string, module: Type | DynamicModule): Promise<void> {
  const database = 'module' in module ? databaseOf(module) : undefined;
  if (database) await migrateDatabase(database);
  process.stdout.write(`${service}: ${database ? 'the tables are up to date' : 'it has no tables'}\n`);
}

export { bootstrap } from './bootstrap.js';
export type { BootstrapOptions, RunningService } from './bootstrap.js';
export {
  ConfigError,
  artifactFields,
  baseFields,
  databaseFields,
  defineConfig,
  env,
  flag,
  loadConfig,
  printConfig,
  secretEnv,
} from './config.js';
export type { BaseConfig, ConfigDefinition, ConfigField, ConfigFields, ConfigOf } from './config.js';
export { DATABASE, DatabaseModule } from './database.module.js';
export type { Database, DatabaseOptions } from './database.module.js';
export { HealthChecks } from './health.js';
export type { HealthReport } from './health.js';
export { LOGGER, createLogger, logWideEvent } from './logger.js';
export type { LogOptions, Logger, WideEvent } from './logger.js';
export { ServiceMetrics } from './metrics.js';
export { migrateDatabase } from './migrate.js';
export { runService } from './run-service.config.js';
export { Closers } from './shutdown.js';
export { Tracing } from './tracing.js';
export type { PastSpan } from './tracing.js';

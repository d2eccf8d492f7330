import { homedir } from 'node:os';
import { join } from 'node:path';
import { defineConfig, env, loadConfig } from '@luthier/service-kit';
import type { ConfigOf } from '@luthier/service-kit';
import { z } from 'zod';

export const standaloneConfigDefinition = defineConfig('standalone', {
  home: env(
    'LUTHIER_HOME',
    z.string().min(1).default(join(homedir(), '.luthier')),
    'folder of everything that is kept',
  ),
  host: env('LUTHIER_HOST', z.string().default('127.0.0.1'), 'address of dashboard and API'),
  port: env(
    'LUTHIER_PORT',
    z.coerce.number().int().min(0).max(65_535).default(4180),
    'port of dashboard and API; when taken, another one is used and said',
  ),
  logLevel: env(
    'LUTHIER_LOG_LEVEL',
    z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
    'least severe level that is logged',
  ),
  modelDir: env('LUTHIER_MODEL_DIR', z.string().optional(), 'folder with base models, one folder each'),
  runMemoryMib: env(
    'LUTHIER_RUN_MEMORY_MIB',
    z.coerce.number().int().positive().optional(),
    'memory that one training run may take',
  ),
  localRuntime: env('LUTHIER_LOCAL_RUNTIME', z.enum(['node', 'torch']).default('node'), 'what trains'),
});
export type StandaloneConfig = ConfigOf<typeof standaloneConfigDefinition>;

/** Settings from the environment; `values` win. @throws ConfigError that lists every problem. */
export const loadStandaloneConfig = (values: Partial<StandaloneConfig> = {}): StandaloneConfig =>
  loadConfig(standaloneConfigDefinition, process.env, values);

/** Settings of single services (`LUTHIER_INFERENCE_THREADS`, `LUTHIER_HUB_URL`, …) hold here too. */
export const serviceEnvironment = (): NodeJS.ProcessEnv => process.env;

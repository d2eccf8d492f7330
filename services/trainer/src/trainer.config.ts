import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { artifactFields, baseFields, defineConfig, env } from '@luthier/service-kit';
import type { ConfigOf } from '@luthier/service-kit';
import { clusterSettings } from './kubernetes/cluster-profile.js';

const runtimeProfile = z.object({
  name: z.string().min(1),
  /** What run specs call it. */
  runtime: z.string().min(1),
  /** Program and arguments before `capabilities` or `train spec.json`. */
  command: z.array(z.string().min(1)).min(1),
  device: z.string().min(1).default('cpu'),
  devices: z.number().int().nonnegative().default(0),
  /** What one run may take; without it three quarters of the machine's memory. */
  memoryMib: z.number().int().positive().optional(),
  /** Without it all cores but one. */
  cpus: z.number().positive().optional(),
  /** Runs that may go on beside each other. */
  slots: z.number().int().positive().default(1),
});
export type RuntimeProfile = z.output<typeof runtimeProfile>;

/** Text in the environment is JSON; standalone passes the values themselves. */
const json = <Schema extends z.ZodType>(schema: Schema, fallback: z.input<Schema>) =>
  z
    .string()
    .default(JSON.stringify(fallback))
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue('expected JSON');
        return z.NEVER;
      }
    })
    .pipe(schema);

const sibling = (service: string): string => fileURLToPath(new URL(`../../${service}/dist/main.js`, import.meta.url));
const command = z.array(z.string().min(1)).min(1);
const milliseconds = (fallback: number) => z.coerce.number().int().nonnegative().default(fallback);

export const trainerConfigSchema = defineConfig('trainer', {
  ...baseFields,
  ...artifactFields,
  workDir: env('LUTHIER_WORK_DIR', z.string().min(1), 'folder for run folders, the token secret and the lock'),
  executor: env(
    'LUTHIER_TRAINER_EXECUTOR',
    z.enum(['process', 'kubernetes']).default('process'),
    'how runs are made: as processes on this machine, or as Jobs of a Kubernetes cluster',
  ),
  cluster: env(
    'LUTHIER_TRAINER_CLUSTER',
    json(clusterSettings.nullable(), null),
    'namespace, profiles and limits of the cluster, a JSON object; needed with the executor `kubernetes`',
  ),
  tokenSecretFile: env(
    'LUTHIER_TRAINER_TOKEN_SECRET_FILE',
    z.string().min(1).optional(),
    'file with the secret of run tokens, the same for all replicas; without it one is made in the work folder',
  ),
  tokenLifetimeMs: env(
    'LUTHIER_TRAINER_TOKEN_LIFETIME_MS',
    z.coerce
      .number()
      .int()
      .positive()
      .default(60 * 60 * 1_000),
    'how long a token of a runner is good; a runner that is still the current one may renew it also later',
  ),
  endpointUrl: env(
    'LUTHIER_TRAINER_ENDPOINT_URL',
    z.url().optional(),
    'address of the run endpoint as pods reach it, such as that of a Service; without it the one it listens on',
  ),
  endpointHost: env('LUTHIER_TRAINER_ENDPOINT_HOST', z.string().default('127.0.0.1'), 'address of the run endpoint'),
  endpointPort: env(
    'LUTHIER_TRAINER_ENDPOINT_PORT',
    z.coerce.number().int().min(0).max(65_535).default(0),
    'port of the run endpoint, 0: any free',
  ),
  runnerCommand: env(
    'LUTHIER_TRAINER_RUNNER_COMMAND',
    json(command, [process.execPath, '--max-old-space-size=96', sibling('runner')]),
    'command of the runner, a JSON array',
  ),
  profiles: env(
    'LUTHIER_TRAINER_PROFILES',
    json(z.array(runtimeProfile).min(1), [
      { name: 'local-cpu', runtime: 'runtime-node', command: [process.execPath, sibling('runtime-node')] },
    ]),
    'what runs can be placed on, a JSON array',
  ),
  relistIntervalMs: env('LUTHIER_TRAINER_RELIST_INTERVAL_MS', milliseconds(60_000), 'how often every run is looked at'),
  deliveryTimeoutMs: env(
    'LUTHIER_TRAINER_DELIVERY_TIMEOUT_MS',
    milliseconds(6 * 60 * 60 * 1_000),
    'how long a finished run tries to deliver to an unreachable endpoint or store',
  ),
  stopOnShutdownMs: env(
    'LUTHIER_TRAINER_STOP_ON_SHUTDOWN_MS',
    milliseconds(10_000),
    'time for runs to save a checkpoint when this service ends',
  ),
});
export type TrainerConfig = ConfigOf<typeof trainerConfigSchema>;

/** Runners and runtimes get the environment of this process without its own settings and secrets. */
export const environmentOfRunners = (): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(LUTHIER|AWS)_/.test(name)));

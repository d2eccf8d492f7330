import { z } from 'zod';
import { idOf } from '@luthier/contracts';

const command = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue('expected a JSON array of strings');
      return z.NEVER;
    }
  })
  .pipe(z.array(z.string().min(1)).min(1));

const milliseconds = (fallback: number) => z.coerce.number().int().positive().default(fallback);

/** What the executor hands to a runner, all in the environment; nothing of it reaches the runtime. */
const schema = z.object({
  LUTHIER_RUN_ID: idOf('run'),
  LUTHIER_RUN_ATTEMPT: z.coerce.number().int().positive(),
  LUTHIER_RUN_POD_UID: z.string().min(1),
  LUTHIER_RUN_ENDPOINT: z.url(),
  LUTHIER_RUN_ATTACH_TOKEN: z.string().min(1),
  LUTHIER_RUN_FOLDER: z.string().min(1),
  LUTHIER_RUN_RUNTIME_COMMAND: command,
  LUTHIER_RUN_CONTROL: z.enum(['pipe', 'endpoint']).default('pipe'),
  LUTHIER_RUN_NODE: z.coerce.number().int().nonnegative().default(0),
  LUTHIER_RUN_MACHINE: z.string().min(1).optional(),
  LUTHIER_RUN_TERMINATION_LOG: z.string().min(1).optional(),
  LUTHIER_RUN_ATTACH_TIMEOUT_MS: milliseconds(10 * 60 * 1_000),
  LUTHIER_RUN_DELIVERY_TIMEOUT_MS: milliseconds(6 * 60 * 60 * 1_000),
  LUTHIER_RUN_HEARTBEAT_MS: milliseconds(1_000),
  LUTHIER_RUN_ECHO_LOG: z.stringbool().default(false),
  LUTHIER_RUN_LOG_BYTES: z.coerce
    .number()
    .int()
    .min(4_096)
    .default(4 * 1024 * 1024),
});

export interface RunnerConfig {
  runId: string;
  attempt: number;
  podUid: string;
  endpointUrl: string;
  attachToken: string;
  /** Lock, log, spec and the runtime's output lie here. */
  runFolder: string;
  runtimeCommand: readonly string[];
  /** Orders come through standard input, whose end ends the run; or with the endpoint's answers alone. */
  control: 'pipe' | 'endpoint';
  /** Which of the run's nodes this is, from 0. */
  node: number;
  /** What the cluster calls the machine. */
  machine: string | undefined;
  /** Where the cluster reads a container's last words. */
  terminationLog: string | undefined;
  /** How long the endpoint may take to place this run. */
  attachTimeoutMs: number;
  /** How long an unreachable endpoint or store is tried for once the runtime has ended. */
  deliveryTimeoutMs: number;
  heartbeatIntervalMs: number;
  /** Of each of the two log files kept. */
  logBytes: number;
  /** The log also goes to standard output, where a cluster's logs are read. */
  echoLog: boolean;
  /** The environment of the runtime. */
  runtimeEnvironment: Readonly<Record<string, string | undefined>>;
}

/** @throws z.ZodError that names every wrong variable. */
export function readRunnerConfig(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): RunnerConfig {
  const parsed = schema.parse(environment);
  return {
    runId: parsed.LUTHIER_RUN_ID,
    attempt: parsed.LUTHIER_RUN_ATTEMPT,
    podUid: parsed.LUTHIER_RUN_POD_UID,
    endpointUrl: parsed.LUTHIER_RUN_ENDPOINT,
    attachToken: parsed.LUTHIER_RUN_ATTACH_TOKEN,
    runFolder: parsed.LUTHIER_RUN_FOLDER,
    runtimeCommand: parsed.LUTHIER_RUN_RUNTIME_COMMAND,
    control: parsed.LUTHIER_RUN_CONTROL,
    node: parsed.LUTHIER_RUN_NODE,
    machine: parsed.LUTHIER_RUN_MACHINE,
    terminationLog: parsed.LUTHIER_RUN_TERMINATION_LOG,
    attachTimeoutMs: parsed.LUTHIER_RUN_ATTACH_TIMEOUT_MS,
    deliveryTimeoutMs: parsed.LUTHIER_RUN_DELIVERY_TIMEOUT_MS,
    heartbeatIntervalMs: parsed.LUTHIER_RUN_HEARTBEAT_MS,
    logBytes: parsed.LUTHIER_RUN_LOG_BYTES,
    echoLog: parsed.LUTHIER_RUN_ECHO_LOG,
    runtimeEnvironment: Object.fromEntries(
      Object.entries(environment).filter(([name]) => !name.startsWith('LUTHIER_RUN_')),
    ),
  };
}

import { z } from 'zod';
import { artifactStoreUrl } from '@luthier/artifacts';

/** One setting: where it comes from, what it must look like, whether it may be shown. */
export interface ConfigField<Schema extends z.ZodType = z.ZodType> {
  readonly env: string;
  readonly schema: Schema;
  readonly secret: boolean;
  readonly description: string;
}

export type ConfigFields = Readonly<Record<string, ConfigField>>;

export interface ConfigDefinition<Fields extends ConfigFields = ConfigFields> {
  readonly service: string;
  readonly fields: Fields;
}

/** The parsed configuration: the fields' values and the service's name. */
export type ConfigOf<Definition> =
  Definition extends ConfigDefinition<infer Fields>
    ? { readonly service: string } & { readonly [Name in keyof Fields]: z.output<Fields[Name]['schema']> }
    : never;

/** A setting read from the environment variable `name`. */
export const env = <Schema extends z.ZodType>(
  name: string,
  schema: Schema,
  description: string,
): ConfigField<Schema> => ({
  env: name,
  schema,
  secret: false,
  description,
});

/** Like `env`, and shown as `***` by `printConfig`. */
export const secretEnv = <Schema extends z.ZodType>(
  name: string,
  schema: Schema,
  description: string,
): ConfigField<Schema> => ({ ...env(name, schema, description), secret: true });

/** `true`, `1`, `yes`, `on` and their opposites. */
export const flag = (): z.ZodType<boolean> => z.stringbool();

export const defineConfig = <Fields extends ConfigFields>(
  service: string,
  fields: Fields,
): ConfigDefinition<Fields> => ({
  service,
  fields,
});

/** Every wrong setting at once, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(
    readonly service: string,
    readonly problems: readonly string[],
  ) {
    super(`The configuration of ${service} is not valid:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
  }
}

/**
 * Parses a service's configuration once. Empty variables count as absent. `values` are taken as they are and win over
 * the environment (standalone and tests compose services this way).
 * @throws ConfigError that lists every problem.
 */
export function loadConfig<Fields extends ConfigFields>(
  definition: ConfigDefinition<Fields>,
  environment: Readonly<Record<string, string | undefined>>,
  values: Partial<ConfigOf<ConfigDefinition<Fields>>> = {},
): ConfigOf<ConfigDefinition<Fields>> {
  const problems: string[] = [];
  const config: Record<string, unknown> = { service: definition.service };
  for (const [name, field] of Object.entries(definition.fields)) {
    const given = (values as Record<string, unknown>)[name];
    if (given !== undefined) {
      config[name] = given;
      continue;
    }
    const text = environment[field.env];
    const parsed = field.schema.safeParse(text === '' ? undefined : text);
    if (parsed.success) config[name] = parsed.data;
    else
      problems.push(
        `${field.env}: ${parsed.error.issues.map((issue) => issue.message).join('; ')} (${field.description})`,
      );
  }
  if (problems.length > 0) throw new ConfigError(definition.service, problems);
  return config as ConfigOf<ConfigDefinition<Fields>>;
}

/** `NAME=value` lines, secrets as `***`, credentials inside URLs too. */
export function printConfig(definition: ConfigDefinition, config: Readonly<Record<string, unknown>>): string {
  return Object.entries(definition.fields)
    .map(([name, { env: variable, secret }]) => {
      const value = config[name];
      const text = value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
      return `${variable}=${secret && value !== undefined ? '***' : text.replace(/(:\/\/[^:/@\s]*:)[^@\s]*@/, '$1***@')}`;
    })
    .join('\n');
}

/** What `bootstrap` itself needs; every service's definition begins with `...baseFields`. */
export const baseFields = {
  natsUrl: env('LUTHIER_NATS_URL', z.string().default('nats://127.0.0.1:4222'), 'NATS servers, separated by commas'),
  natsUser: env('LUTHIER_NATS_USER', z.string().optional(), 'NATS user'),
  natsPassword: secretEnv('LUTHIER_NATS_PASSWORD', z.string().optional(), 'NATS password'),
  httpHost: env('LUTHIER_HTTP_HOST', z.string().default('127.0.0.1'), 'address for HTTP (health, metrics)'),
  httpPort: env(
    'LUTHIER_HTTP_PORT',
    z.coerce.number().int().min(0).max(65_535).default(0),
    'port for HTTP, 0: any free',
  ),
  metricsPort: env(
    'LUTHIER_METRICS_PORT',
    z.coerce.number().int().min(1).max(65_535).optional(),
    'port of its own for metrics; none: they are on the port for HTTP',
  ),
  logLevel: env(
    'LUTHIER_LOG_LEVEL',
    z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
    'least severe level that is logged',
  ),
  otlpUrl: env(
    'LUTHIER_OTLP_URL',
    z.url({ protocol: /^https?$/ }).optional(),
    'where traces are sent (OpenTelemetry over HTTP); none: no traces',
  ),
  traceShare: env(
    'LUTHIER_TRACE_SHARE',
    z.coerce.number().min(0).max(1).default(1),
    'share of the traces that is kept, 0 to 1',
  ),
  shutdownTimeoutMs: env(
    'LUTHIER_SHUTDOWN_TIMEOUT_MS',
    z.coerce.number().int().positive().default(20_000),
    'time for an orderly end',
  ),
  drainMs: env(
    'LUTHIER_DRAIN_MS',
    z.coerce.number().int().min(0).default(0),
    'time before that in which HTTP is still answered, until nobody is led here any more',
  ),
};
export type BaseConfig = ConfigOf<ConfigDefinition<typeof baseFields>>;

/** For services that read or write artifacts. */
export const artifactFields = {
  artifacts: env(
    'LUTHIER_ARTIFACTS',
    artifactStoreUrl,
    'where artifacts are kept, the same for all services: file:///folder, or s3://bucket/prefix?endpoint=…',
  ),
};

/** For services with tables. */
export const databaseFields = {
  databaseUrl: secretEnv('LUTHIER_DATABASE_URL', z.string().startsWith('postgres'), 'Postgres URL'),
  databasePoolMax: env(
    'LUTHIER_DATABASE_POOL_MAX',
    z.coerce.number().int().min(1).max(100).default(4),
    'connections that this service may hold',
  ),
};

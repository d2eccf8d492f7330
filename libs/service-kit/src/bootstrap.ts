import 'reflect-metadata';
import { setTimeout as sleep } from 'node:timers/promises';
import { Module } from '@nestjs/common';
import type { DynamicModule, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { NatsConnection } from '@nats-io/transport-node';
import { EventDispatcher, MessagingModule, SharedNatsTransport, connectNats } from '@luthier/messaging';
import type { BaseConfig } from './config.js';
import { deliveryLog } from './delivery-log.js';
import { HealthChecks } from './health.js';
import { addOperationalRoutes } from './http.js';
import { LOGGER, NestLog, createLogger } from './logger.js';
import type { Logger } from './logger.js';
import { ServiceMetrics } from './metrics.js';
import { serveMetrics } from './metrics-server.js';
import { RpcInterceptor } from './rpc.interceptor.js';
import { Closers, withinMs } from './shutdown.js';
import { Tracing } from './tracing.js';

export interface BootstrapOptions {
  /** @default a logger named after the service on stdout */
  logger?: Logger;
  http?: {
    /** Wins over the configuration's. */
    host?: string;
    port?: number;
    /** Largest JSON body. @default 1 MiB */
    bodyLimitBytes?: number;
    /** Trust `X-Forwarded-*`. @default false */
    trustProxy?: boolean;
    /** Registers plugins, hooks, filters and prefixes before the application starts to listen. */
    configure?: (app: NestFastifyApplication) => Promise<void> | void;
  };
}

export interface RunningService {
  readonly name: string;
  /** Base URL of its HTTP side, e.g. `http://127.0.0.1:40123`. */
  readonly url: string;
  readonly app: NestFastifyApplication;
  /** Is not ready for `drainMs`; then takes no new work, ends what runs within `shutdownTimeoutMs`, closes everything. May be called twice. */
  stop(): Promise<void>;
}

@Module({})
class ServiceRoot {}

/**
 * Starts a service: one NATS connection (requests in the queue group of the service, event consumers), HTTP with health
 * and metrics, logs. Nothing is shared between two services in one process.
 * @throws AppError `service.unavailable` when NATS or the database cannot be reached.
 */
export async function bootstrap(
  module: Type | DynamicModule,
  config: BaseConfig,
  options: BootstrapOptions = {},
): Promise<RunningService> {
  const logger = options.logger ?? createLogger({ service: config.service, level: config.logLevel });
  const parts = {
    logger,
    metrics: new ServiceMetrics(config.service),
    tracing: new Tracing({
      service: config.service,
      share: config.traceShare,
      ...(config.otlpUrl !== undefined && { url: config.otlpUrl }),
    }),
    health: new HealthChecks(),
    closers: new Closers(),
    showMetrics: config.metricsPort === undefined,
  };
  const connection = await connectNats({
    servers: config.natsUrl,
    name: config.service,
    ...(config.natsUser !== undefined && { user: config.natsUser }),
    ...(config.natsPassword !== undefined && { pass: config.natsPassword }),
  });
  parts.closers.add('traces', () => parts.tracing.stop());
  parts.closers.add('nats', () => connection.drain());
  parts.health.register('nats', async () => void (await connection.rtt()));
  let app: NestFastifyApplication | undefined;
  try {
    app = await createApplication(module, connection, parts, options);
    app.connectMicroservice<MicroserviceOptions>(
      { strategy: new SharedNatsTransport(connection, config.service) },
      { inheritAppConfig: true },
    );
    await options.http?.configure?.(app);
    await app.startAllMicroservices();
    await app.listen(options.http?.port ?? config.httpPort, options.http?.host ?? config.httpHost);
    if (config.metricsPort !== undefined) {
      const { metricsPort: port, httpHost: host } = config;
      const server = await serveMetrics(parts.metrics, { host, port });
      parts.closers.add('metrics', () => server.stop());
    }
    await connection.flush(); // the subscriptions are known to the server: whoever asks now is answered
  } catch (cause) {
    await app?.close().catch(() => undefined);
    await parts.closers.closeAll();
    throw cause;
  }
  const url = await app.getUrl();
  logger.info({ op: 'service.started', url }, `${config.service} is ready`);
  return runningService(app, url, connection, parts, config);
}

interface Parts {
  logger: Logger;
  metrics: ServiceMetrics;
  tracing: Tracing;
  health: HealthChecks;
  closers: Closers;
  /** Whether the port for HTTP has the metrics, too. */
  showMetrics: boolean;
}

async function createApplication(
  module: Type | DynamicModule,
  connection: NatsConnection,
  { logger, metrics, tracing, health, closers, showMetrics }: Parts,
  options: BootstrapOptions,
): Promise<NestFastifyApplication> {
  const root: DynamicModule = {
    module: ServiceRoot,
    global: true,
    imports: [
      MessagingModule.forRoot({
        connection,
        observer: deliveryLog(logger, metrics),
        onInvalidRun: (key, cause) => logger.error({ key, err: cause }, 'A value in the runs bucket cannot be read'),
      }),
      module,
    ],
    providers: [
      { provide: LOGGER, useValue: logger },
      { provide: ServiceMetrics, useValue: metrics },
      { provide: Tracing, useValue: tracing },
      { provide: HealthChecks, useValue: health },
      { provide: Closers, useValue: closers },
    ],
    exports: [LOGGER, ServiceMetrics, Tracing, HealthChecks, Closers],
  };
  const adapter = new FastifyAdapter({
    bodyLimit: options.http?.bodyLimitBytes ?? 1024 * 1024,
    trustProxy: options.http?.trustProxy ?? false,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 512 }, // names of tuned models are longer than the default of 100
  });
  const app = await NestFactory.create<NestFastifyApplication>(root, adapter, {
    logger: new NestLog(logger),
    abortOnError: false,
  });
  const dispatcher = app.get(EventDispatcher);
  metrics.tellBacklogs(() => dispatcher.backlogs());
  app.useGlobalInterceptors(new RpcInterceptor(logger, metrics, tracing));
  addOperationalRoutes(app, { logger, metrics, tracing, health, showMetrics });
  return app;
}

function runningService(
  app: NestFastifyApplication,
  url: string,
  connection: NatsConnection,
  { logger, health, closers }: Parts,
  config: BaseConfig,
): RunningService {
  let stopping: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    health.end();
    if (config.drainMs > 0) await sleep(config.drainMs);
    const started = performance.now();
    const orderly = await withinMs(
      app.close().then(async () => {
        for (const { name, cause } of await closers.closeAll()) logger.warn({ err: cause }, `${name} did not close`);
      }),
      config.shutdownTimeoutMs,
    );
    if (!orderly) await connection.close();
    logger.info({ op: 'service.stopped', ok: orderly, durationMs: Math.round(performance.now() - started) });
  };
  return { name: config.service, url, app, stop: () => (stopping ??= end()) };
}

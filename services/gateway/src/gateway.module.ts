import { fileURLToPath } from 'node:url';
import { Inject, Injectable, Module } from '@nestjs/common';
import type { BeforeApplicationShutdown, DynamicModule, OnApplicationBootstrap } from '@nestjs/common';
import { join } from 'node:path';
import { ArtifactStore, openArtifactStore } from '@luthier/artifacts';
import { MessageBus } from '@luthier/messaging';
import { DatabaseModule, LOGGER, ServiceMetrics } from '@luthier/service-kit';
import type { Logger } from '@luthier/service-kit';
import { ensureApiKey } from './auth/api-key.js';
import { Authenticator } from './auth/authenticator.js';
import { KeyStore } from './auth/key.store.js';
import { PgKeyStore } from './auth/key.store.pg.js';
import { PgSessionStore } from './auth/session.store.pg.js';
import { SessionStore } from './auth/session.store.js';
import type { GatewayConfig } from './gateway.config.js';
import { GatewayMetrics } from './gateway.metrics.js';
import { JobStreams } from './live/job-streams.js';
import { LogStreams } from './live/log-streams.js';
import { StreamSlots } from './live/stream-slots.js';

const GATEWAY_CONFIG = Symbol('luthier.gateway-config');
const HEARTBEAT_MS = 15_000;
const LOG_POLL_MS = 1_000;

/** Makes the key of the installation at the first start, and ends live streams before the server closes. */
@Injectable()
class GatewayLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown {
  constructor(
    private readonly keys: KeyStore,
    private readonly streams: JobStreams,
    private readonly logs: LogStreams,
    @Inject(GATEWAY_CONFIG) private readonly config: GatewayConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { file, created } = await ensureApiKey(this.keys, join(this.config.workDir, 'api-key'));
    if (created) this.logger.info({ op: 'api-key.created', file }, 'The API key of this installation was written');
  }

  beforeApplicationShutdown(): void {
    this.streams.stop();
    this.logs.stop();
  }
}

@Module({})
export class GatewayModule {
  static forConfig(config: GatewayConfig): DynamicModule {
    return {
      module: GatewayModule,
      imports: [
        DatabaseModule.forService({
          schemaName: 'gateway',
          migrationsFolder: fileURLToPath(new URL('./db/migrations', import.meta.url)),
          url: config.databaseUrl,
          poolMax: config.databasePoolMax,
        }),
      ],
      providers: [
        { provide: GATEWAY_CONFIG, useValue: config },
        { provide: ArtifactStore, useFactory: () => openArtifactStore(config.artifacts) },
        { provide: KeyStore, useClass: PgKeyStore },
        { provide: SessionStore, useClass: PgSessionStore },
        {
          provide: StreamSlots,
          inject: [GatewayMetrics],
          useFactory: (metrics: GatewayMetrics) =>
            new StreamSlots(config.maxStreams, (open) => metrics.liveStreams.set(open)),
        },
        {
          provide: JobStreams,
          inject: [MessageBus, LOGGER, StreamSlots],
          useFactory: (bus: MessageBus, logger: Logger, slots: StreamSlots) =>
            new JobStreams({ bus, logger, slots, pollMs: config.streamPollMs, heartbeatMs: HEARTBEAT_MS }),
        },
        {
          provide: LogStreams,
          inject: [MessageBus, LOGGER, StreamSlots],
          useFactory: (bus: MessageBus, logger: Logger, slots: StreamSlots) =>
            new LogStreams({ bus, logger, slots, pollMs: LOG_POLL_MS, heartbeatMs: HEARTBEAT_MS }),
        },
        {
          provide: GatewayMetrics,
          inject: [ServiceMetrics],
          useFactory: ({ registry }: ServiceMetrics) => new GatewayMetrics(registry),
        },
        Authenticator,
        GatewayLifecycle,
      ],
    };
  }
}

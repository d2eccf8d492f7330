import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import OpenAI from 'openai';
import { createLogger } from '@luthier/service-kit';
import type { RunningService } from '@luthier/service-kit';
import { startNats, startPostgres, tempDir, waitFor } from '@luthier/testing';
import type { GatewayConfig } from '../gateway.config.js';
import { startGateway } from '../start-gateway.js';
import { Responders } from './responders.js';

export interface GatewayFixture {
  readonly service: RunningService;
  readonly url: string;
  readonly key: string;
  readonly artifactsDir: string;
  readonly workDir: string;
  readonly responders: Responders;
  readonly openai: OpenAI;
  /** Another gateway on the same NATS server and database, with a work folder and a key file of its own. */
  replica(overrides?: Partial<GatewayConfig>): Promise<RunningService>;
  /** `fetch` with the key. */
  call(path: string, init?: RequestInit): Promise<Response>;
  /** Until the gateway has noticed that the readers of all live streams are gone; their slots are free then. */
  noLiveStream(): Promise<void>;
  stop(): Promise<void>;
}

/** A gateway with a NATS server and a database of its own. */
export async function startGatewayFixture(overrides: Partial<GatewayConfig> = {}): Promise<GatewayFixture> {
  const [nats, postgres, dir] = await Promise.all([startNats(), startPostgres(), tempDir('gateway')]);
  const database = await postgres.createDatabase();
  const config: GatewayConfig = {
    service: 'gateway',
    natsUrl: nats.url,
    natsUser: undefined,
    natsPassword: undefined,
    httpHost: '127.0.0.1',
    httpPort: 0,
    logLevel: 'silent',
    metricsPort: undefined,
    otlpUrl: undefined,
    traceShare: 1,
    shutdownTimeoutMs: 5_000,
    drainMs: 0,
    databaseUrl: database.url,
    databasePoolMax: 4,
    artifacts: pathToFileURL(join(dir, 'artifacts')).href,
    workDir: dir,
    webUrl: undefined,
    maxFileBytes: 512 * 1024 * 1024,
    bodyLimitBytes: 10 * 1024 * 1024,
    sessionSeconds: 3600,
    secureCookie: false,
    trustProxy: false,
    maxStreams: 50,
    streamPollMs: 2_000,
    ...overrides,
  };
  const logger = createLogger({ service: 'gateway', level: config.logLevel });
  const service = await startGateway(config, { logger });
  const key = (await readFile(join(dir, 'api-key'), 'utf8')).trim();
  const responders = new Responders(await nats.connect());
  return {
    service,
    url: service.url,
    key,
    artifactsDir: join(dir, 'artifacts'),
    workDir: dir,
    responders,
    openai: new OpenAI({ apiKey: key, baseURL: `${service.url}/v1`, timeout: 90_000 }),
    replica: async (other = {}) => startGateway({ ...config, ...other, workDir: await tempDir('gateway') }, { logger }),
    call: async (path, init = {}) => {
      await responders.ready();
      return fetch(`${service.url}${path}`, { ...init, headers: { authorization: `Bearer ${key}`, ...init.headers } });
    },
    noLiveStream: async () => {
      await waitFor(async () => {
        const text = await (await fetch(`${service.url}/metrics`)).text();
        return /luthier_gateway_live_streams\S* 0$/m.test(text);
      });
    },
    stop: async () => {
      await service.stop();
      await database.drop();
      await nats.stop();
    },
  };
}

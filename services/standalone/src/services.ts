import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { datasetsConfigSchema, startDatasets } from '@luthier/datasets';
import { EvaluationModule, evaluationConfigSchema } from '@luthier/evaluation';
import { gatewayConfigSchema, startGateway } from '@luthier/gateway';
import { InferenceModule, inferenceConfigSchema } from '@luthier/inference';
import { registryConfigSchema, startRegistry } from '@luthier/registry';
import { bootstrap, createLogger, loadConfig } from '@luthier/service-kit';
import type { Logger, RunningService } from '@luthier/service-kit';
import { startTrainer, trainerConfigSchema } from '@luthier/trainer';
import { startTraining, trainingConfig } from '@luthier/training';
import type { ServiceName } from '@luthier/contracts';
import type { Home } from './home.js';
import { localProfile } from './local-profile.js';
import { serviceEnvironment } from './standalone.config.js';
import type { StandaloneConfig } from './standalone.config.js';

export interface Surroundings {
  config: StandaloneConfig;
  home: Home;
  natsUrl: string;
  databaseUrl: string;
  webUrl: string | undefined;
  logStream: NodeJS.WritableStream;
}

/**
 * Starts all services in this process, each with its own NATS connection, credentials and tables; only ports and
 * adapters differ from an installation where each is a process of its own.
 * @returns all of them, and the gateway, which has any other port when the wanted one is in use.
 */
export async function startServices(
  around: Surroundings,
): Promise<{ services: RunningService[]; gateway: RunningService }> {
  const { config, home } = around;
  const environment = serviceEnvironment();
  const base = (service: ServiceName) => ({
    natsUrl: around.natsUrl,
    natsUser: service,
    natsPassword: home.secrets.nats[service],
    logLevel: config.logLevel,
    httpHost: '127.0.0.1',
    httpPort: 0,
    artifacts: pathToFileURL(home.artifacts).href,
    workDir: home.work(service),
  });
  const stored = (service: ServiceName) => ({ ...base(service), databaseUrl: around.databaseUrl, databasePoolMax: 3 });
  const logged = (service: ServiceName): { logger: Logger } => ({
    logger: createLogger({ service, level: config.logLevel, destination: around.logStream }),
  });

  const running: RunningService[] = [];
  const keep = async (start: Promise<RunningService>): Promise<void> => void running.push(await start);
  const openGateway = (httpPort: number): Promise<RunningService> =>
    startGateway(
      loadConfig(gatewayConfigSchema, environment, {
        ...stored('gateway'),
        ...{ workDir: home.dir, webUrl: around.webUrl, httpHost: config.host, httpPort },
      }),
      logged('gateway'),
    );
  try {
    await keep(
      startRegistry(
        loadConfig(registryConfigSchema, environment, { ...stored('registry'), modelDir: config.modelDir }),
        logged('registry'),
      ),
    );
    await keep(startDatasets(loadConfig(datasetsConfigSchema, environment, stored('datasets')), logged('datasets')));
    const inference = loadConfig(inferenceConfigSchema, environment, base('inference'));
    await keep(bootstrap(InferenceModule.forConfig(inference), inference, logged('inference')));
    const evaluation = loadConfig(evaluationConfigSchema, environment, stored('evaluation'));
    await keep(bootstrap(EvaluationModule.forConfig(evaluation), evaluation, logged('evaluation')));
    await keep(
      startTrainer(
        loadConfig(trainerConfigSchema, environment, { ...base('trainer'), profiles: [await localProfile(config)] }),
        logged('trainer'),
      ),
    );
    await keep(startTraining(loadConfig(trainingConfig, environment, stored('training')), logged('training')));
    // It takes the port itself: one that was only found free may be another's by now.
    const gateway = await openGateway(config.port).catch((cause: unknown) => {
      if (config.port === 0 || !cannotBeTaken(cause)) throw cause;
      return openGateway(0);
    });
    return { services: [...running, gateway], gateway };
  } catch (cause) {
    await stopServices(running).catch(() => undefined); // why it could not start matters more
    throw cause;
  }
}

/** In use, or not for this user. */
const cannotBeTaken = (cause: unknown): boolean =>
  ['EADDRINUSE', 'EACCES'].includes((cause as NodeJS.ErrnoException | undefined)?.code ?? '');

/** In the opposite order: whoever asks ends before whoever answers. One that fails keeps no other from ending. */
export async function stopServices(services: readonly RunningService[]): Promise<void> {
  const failures: unknown[] = [];
  for (const service of [...services].reverse()) await service.stop().catch((cause: unknown) => failures.push(cause));
  if (failures.length > 0) throw new AggregateError(failures, 'Not every service ended in order.');
}

export const webEntry = (): string =>
  join(fileURLToPath(new URL('../../../web', import.meta.url)), '.next/standalone/web/server.js');

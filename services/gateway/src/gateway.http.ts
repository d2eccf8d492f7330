import cookie from '@fastify/cookie';
import multipart from '@fastify/multipart';
import type { FastifyInstance } from 'fastify';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ArtifactStore } from '@luthier/artifacts';
import { MessageBus } from '@luthier/messaging';
import { LOGGER } from '@luthier/service-kit';
import type { Logger } from '@luthier/service-kit';
import { Authenticator } from './auth/authenticator.js';
import { sessionBindings } from './auth/session.http.js';
import { SessionStore } from './auth/session.store.js';
import { chatBindings } from './chat/chat.http.js';
import { fileBindings } from './files/files.http.js';
import type { GatewayConfig } from './gateway.config.js';
import { GatewayMetrics } from './gateway.metrics.js';
import { ROUTES } from './http/route-table.js';
import type { RouteBinding } from './http/route.js';
import { serveRoutes } from './http/serve-routes.js';
import { fineTuningBindings, jobBindings } from './jobs/jobs.http.js';
import { JobStreams } from './live/job-streams.js';
import { LogStreams } from './live/log-streams.js';
import { modelBindings } from './models/models.http.js';
import { platformBindings } from './platform/platform.http.js';
import { serveWeb } from './web/serve-web.js';

/** Puts the public routes and the dashboard onto the application's web server, each in a scope of its own. */
export async function configureHttp(app: NestFastifyApplication, config: GatewayConfig): Promise<void> {
  const server: FastifyInstance = app.getHttpAdapter().getInstance();
  const bindings = allBindings(app, config);
  const authenticator = app.get(Authenticator);
  const logger = app.get<Logger>(LOGGER);
  await server.register(async (scope) => {
    await scope.register(cookie);
    serveRoutes(scope, { bindings, authenticator, logger, bodyLimitBytes: config.bodyLimitBytes });
    await scope.register(multipart);
  });
  await server.register((scope) => serveWeb(scope, config.webUrl));
}

/** @throws Error when a declared route has no handler, or two (a programming fault). */
function allBindings(app: NestFastifyApplication, config: GatewayConfig): RouteBinding[] {
  const bus = app.get(MessageBus);
  const authenticator = app.get(Authenticator);
  const { maxFileBytes, sessionSeconds, secureCookie } = config;
  const { uploadedBytes } = app.get(GatewayMetrics);
  const bindings = [
    ...fileBindings({
      bus,
      artifacts: app.get(ArtifactStore),
      maxFileBytes,
      onUploaded: (sizeBytes) => uploadedBytes.inc(sizeBytes),
    }),
    ...fineTuningBindings(bus),
    ...jobBindings(bus, app.get(JobStreams), app.get(LogStreams)),
    ...modelBindings(bus, app.get(ArtifactStore)),
    ...chatBindings(bus),
    ...platformBindings(bus, authenticator),
    ...sessionBindings({ authenticator, sessions: app.get(SessionStore), sessionSeconds, secureCookie }),
  ];
  for (const route of ROUTES) {
    const count = bindings.filter((binding) => binding.route === route).length;
    if (count !== 1) throw new Error(`the route ${route.id} has ${count} handlers`);
  }
  return bindings;
}

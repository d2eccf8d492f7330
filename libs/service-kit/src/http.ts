import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { logWideEvent } from './logger.js';
import type { Logger } from './logger.js';
import type { HealthChecks } from './health.js';
import type { ServiceMetrics } from './metrics.js';

const QUIET_ROUTES = new Set(['/healthz', '/readyz', '/metrics']);

/** `/healthz` (the process lives), `/readyz` (what it needs is there), `/metrics`; logs and measures all other routes. */
export function addOperationalRoutes(
  app: NestFastifyApplication,
  parts: { logger: Logger; metrics: ServiceMetrics; health: HealthChecks },
): void {
  const server = app.getHttpAdapter().getInstance();
  server.get('/healthz', () => ({ status: 'ok' }));
  server.get('/readyz', async (_request, reply) => {
    const report = await parts.health.report();
    return reply.status(report.ready ? 200 : 503).send(report);
  });
  server.get('/metrics', async (_request, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(await parts.metrics.text()),
  );
  server.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown';
    if (!QUIET_ROUTES.has(route)) {
      const { method } = request;
      parts.metrics.httpDuration.observe(
        { method, route, status: String(reply.statusCode) },
        reply.elapsedTime / 1_000,
      );
      logWideEvent(parts.logger, {
        op: `${method} ${route}`,
        ok: reply.statusCode < 400,
        durationMs: reply.elapsedTime,
        status: reply.statusCode,
        requestId: request.id,
        ...(reply.statusCode >= 400 && reply.statusCode < 500 && { errorCode: `http.${reply.statusCode}` }),
      });
    }
    done();
  });
}

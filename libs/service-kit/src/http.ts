import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Span } from '@opentelemetry/api';
import { logWideEvent } from './logger.js';
import type { Logger } from './logger.js';
import type { HealthChecks } from './health.js';
import { METRICS_TYPE } from './metrics-server.js';
import type { ServiceMetrics } from './metrics.js';
import { endSpan, traceIdOf, within } from './tracing.js';
import type { Tracing } from './tracing.js';

const QUIET_ROUTES = new Set(['/healthz', '/readyz', '/metrics']);

/**
 * `/healthz` (the process lives), `/readyz` (what it needs is there), `/metrics` where they are given; logs, measures and
 * traces all other routes.
 */
export function addOperationalRoutes(
  app: NestFastifyApplication,
  parts: { logger: Logger; metrics: ServiceMetrics; tracing: Tracing; health: HealthChecks; showMetrics: boolean },
): void {
  const server = app.getHttpAdapter().getInstance();
  server.get('/healthz', () => ({ status: 'ok' }));
  server.get('/readyz', async (_request, reply) => {
    const report = await parts.health.report();
    return reply.status(report.ready ? 200 : 503).send(report);
  });
  if (parts.showMetrics)
    server.get('/metrics', async (_request, reply) => reply.type(METRICS_TYPE).send(await parts.metrics.text()));
  const spans = new WeakMap<object, Span>();
  server.addHook('onRequest', (request, _reply, done) => {
    const route = request.routeOptions.url ?? 'unknown';
    const attributes = { 'http.request.method': request.method, 'http.route': route };
    const isQuiet = QUIET_ROUTES.has(route);
    const span = isQuiet ? undefined : parts.tracing.arrived(`${request.method} ${route}`, request.headers, attributes);
    if (span) spans.set(request, span);
    done();
  });
  // Here, and not as it arrives: the body is read in between, by events that know of no request.
  server.addHook('preHandler', (request, _reply, done) => within(spans.get(request), done));
  // Who keeps a connection open takes the next request elsewhere.
  server.addHook('onSend', async (_request, reply) => {
    if (parts.health.ending) reply.header('connection', 'close');
  });
  server.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown';
    const span = spans.get(request);
    span?.setAttribute('http.response.status_code', reply.statusCode);
    endSpan(span, reply.statusCode >= 500 ? `http.${reply.statusCode}` : undefined);
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
        ...traceIdOf(span),
        ...(reply.statusCode >= 400 && reply.statusCode < 500 && { errorCode: `http.${reply.statusCode}` }),
      });
    }
    done();
  });
}

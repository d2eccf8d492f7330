import Fastify from 'fastify';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  AppError,
  attachRequest,
  checkpointReport,
  eventsRequest,
  heartbeatRequest,
  idOf,
  listObjectsRequest,
  objectUrlsRequest,
  outcomeReport,
} from '@luthier/contracts';
import type { Logger } from '@luthier/service-kit';
import type { RunEndpointService } from './run-endpoint.service.js';

const BODY_LIMIT_BYTES = 8 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 15_000;
const parameters = z.object({ runId: idOf('run') });

interface Call<Body> {
  runId: string;
  token: string;
  body: Body;
}

/** The HTTP side of the run endpoint, on a port of its own: runners reach nothing else. */
export class RunEndpointServer {
  private readonly app: FastifyInstance;
  url = '';

  constructor(
    service: RunEndpointService,
    private readonly logger: Logger,
  ) {
    this.app = Fastify({
      bodyLimit: BODY_LIMIT_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionTimeout: REQUEST_TIMEOUT_MS * 2,
      forceCloseConnections: true,
    });
    this.app.setErrorHandler((error, _request, reply) => this.answerError(error, reply));
    this.route('attach', attachRequest, ({ runId, token, body }) =>
      service.attach(runId, token, body.attempt, body.podUid),
    );
    this.route('heartbeat', heartbeatRequest, ({ runId, token }) => service.heartbeat(runId, token));
    this.route('events', eventsRequest, ({ runId, token, body }) => service.events(runId, token, body.events));
    this.route('objects', objectUrlsRequest, ({ runId, token, body }) => service.urls(runId, token, body));
    this.route('list', listObjectsRequest, ({ runId, token, body }) => service.list(runId, token, body.prefix));
    this.route('checkpoint', checkpointReport, ({ runId, token, body }) => service.checkpoint(runId, token, body));
    this.route('outcome', outcomeReport, ({ runId, token, body }) =>
      service.outcome(runId, token, body.outcome, body.node),
    );
  }

  /** @param port 0: any free one. */
  async start(host: string, port: number): Promise<string> {
    this.url = await this.app.listen({ host, port });
    return this.url;
  }

  async stop(): Promise<void> {
    await this.app.close();
  }

  private route<Schema extends z.ZodType>(
    verb: string,
    schema: Schema,
    handle: (call: Call<z.output<Schema>>) => Promise<unknown>,
  ): void {
    this.app.post(`/runs/:runId/${verb}`, async (request) => {
      const { runId } = parse(parameters, request.params);
      return handle({ runId, token: tokenOf(request), body: parse(schema, request.body) });
    });
  }

  private answerError(error: unknown, reply: { status(code: number): { send(body: unknown): unknown } }): unknown {
    const known = asAppError(error);
    if (known.code === 'internal') this.logger.error({ err: known.cause }, 'The run endpoint met a fault');
    return reply.status(known.httpStatus).send({ code: known.code, message: known.message });
  }
}

function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const status = typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : undefined;
  if (status === 413) return new AppError('request.too-large', undefined, { cause: error });
  if (typeof status === 'number' && status < 500) return new AppError('request.invalid', undefined, { cause: error });
  return AppError.from(error);
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new AppError('request.invalid', issue ? `${issue.path.join('.')}: ${issue.message}` : undefined);
}

function tokenOf(request: FastifyRequest): string {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ');
  if (scheme !== 'Bearer' || !token) throw new AppError('auth.missing');
  return token;
}

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '@luthier/contracts';
import type { Logger } from '@luthier/service-kit';
import type { Authenticator } from '../auth/authenticator.js';
import { inWireNames, sendError } from './http-errors.js';
import { parseBody, parseParameters } from './parse.js';
import type { RouteBinding } from './route.js';
import { nameRequest } from './security-headers.js';
import { toWire } from './snake-case.js';

export interface ServeOptions {
  bindings: readonly RouteBinding[];
  authenticator: Authenticator;
  logger: Logger;
  /** Largest JSON body. */
  bodyLimitBytes: number;
}

const fastifyPath = (path: string): string => path.replace(/\{(\w+)\}/g, ':$1');

/** Serves the public routes in a scope of their own: own body parser, error forms and headers. */
export function serveRoutes(scope: FastifyInstance, options: ServeOptions): void {
  const { bindings, authenticator, logger, bodyLimitBytes } = options;
  scope.setErrorHandler((error, request, reply) => sendError(error, request, reply, logger));
  scope.addHook('onRequest', (request, reply, done) => {
    nameRequest(request, reply);
    done();
  });
  parseJsonOnly(scope, bodyLimitBytes);
  for (const binding of bindings) {
    const { route } = binding;
    scope.route({
      method: route.method,
      url: fastifyPath(route.path),
      // Before the body is read: who may not ask does not get to send either.
      ...(route.auth !== 'none' && {
        onRequest: async (request: FastifyRequest) => void (await authenticator.require(request)),
      }),
      handler: (request, reply) => answer(binding, request, reply),
    });
  }
  for (const url of ['/v1', '/v1/*', '/api', '/api/*']) {
    scope.all(url, (request) => {
      throw new AppError('route.not-found', `There is no ${request.method} ${request.url.split('?')[0] ?? ''}`);
    });
  }
}

async function answer({ route, handle }: RouteBinding, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const context = {
    params: route.params && parseParameters(route.params, request.params),
    query: route.query && parseParameters(route.query, request.query),
    body: route.body && route.multipart !== true ? parseBody(route.body, request.body) : undefined,
    request,
    reply,
    requestId: request.id,
  };
  const result = await handle(context).catch((thrown: unknown) => {
    throw inWireNames(thrown);
  });
  if (reply.sent) return reply;
  reply.code(route.answer.status);
  if (!route.answer.schema) return reply.send(result);
  return reply.type('application/json; charset=utf-8').send(JSON.stringify(toWire(route.answer.schema, result)));
}

/** JSON is all that is taken (uploads bring their own parser); an empty body is no body, whatever its type says. */
function parseJsonOnly(scope: FastifyInstance, bodyLimit: number): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('application/json', { parseAs: 'string', bodyLimit }, (_request, body, done) => {
    const text = body.toString();
    if (text.trim() === '') return done(null, undefined);
    try {
      done(null, JSON.parse(text));
    } catch (cause) {
      done(new AppError('request.invalid', 'The body is not valid JSON', { cause }), undefined);
    }
  });
}

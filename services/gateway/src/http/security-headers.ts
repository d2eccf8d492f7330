import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

const HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
};

const USABLE_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** Gives a request its name (the caller's own, if it is a decent one) and its answer the headers every answer has. */
export function nameRequest(request: FastifyRequest, reply: FastifyReply): void {
  const given = request.headers['x-request-id'];
  const id = typeof given === 'string' && USABLE_ID.test(given) ? given : `req_${randomUUID().replaceAll('-', '')}`;
  Reflect.set(request, 'id', id); // so that the access log has it too
  reply.header('x-request-id', id);
  reply.headers(HEADERS);
}

import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError, ERRORS, obstacle } from '@luthier/contracts';
import type { Logger } from '@luthier/service-kit';
import { readAway } from './read-away.js';
import { snakePath, toWire } from './snake-case.js';

const codeOf = (thrown: object): string => {
  const code: unknown = Reflect.get(thrown, 'code');
  return typeof code === 'string' ? code : '';
};
const statusOf = (thrown: object): number => {
  const status: unknown = Reflect.get(thrown, 'statusCode');
  return typeof status === 'number' ? status : 500;
};

/** What the web server threw (malformed JSON, body too large, …) in our own terms. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError || typeof thrown !== 'object' || thrown === null) return AppError.from(thrown);
  switch (codeOf(thrown)) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
    case 'FST_REQ_FILE_TOO_LARGE':
      return new AppError('request.too-large', undefined, { cause: thrown });
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new AppError('request.invalid', 'The body must be sent as application/json', { cause: thrown });
    case 'FST_INVALID_MULTIPART_CONTENT_TYPE':
      return new AppError('request.invalid', 'The body must be sent as multipart/form-data', { cause: thrown });
    case 'ENOSPC':
    case 'EDQUOT':
      return new AppError('disk.full', undefined, { cause: thrown });
    default:
      break;
  }
  const status = statusOf(thrown);
  if (status === 413) return new AppError('request.too-large', undefined, { cause: thrown });
  if (status >= 400 && status < 500) {
    return new AppError('request.invalid', thrown instanceof Error ? thrown.message : undefined, { cause: thrown });
  }
  return AppError.from(thrown);
}

/** A refusal of a service speaks of its own field names: here they get the caller's spelling. */
export function inWireNames(thrown: unknown): unknown {
  if (!(thrown instanceof AppError) || thrown.param === null || thrown.param === '') return thrown;
  return thrown.withParam(snakePath(thrown.param));
}

const obstacleOf = ({ obstacle: found }: AppError) => found && { obstacle: toWire(obstacle, found) };

/** OpenAI's form. */
export const openAiBody = (error: AppError) => ({
  error: {
    message: error.message,
    type: ERRORS[error.code].type,
    param: error.param === '' ? null : error.param,
    code: error.code,
    hint: error.hint,
    ...obstacleOf(error),
  },
});

/** RFC 9457. */
export const problemBody = (error: AppError, requestId: string) => ({
  type: `urn:luthier:error:${error.code}`,
  title: ERRORS[error.code].title,
  status: error.httpStatus,
  detail: error.message,
  code: error.code,
  param: error.param === '' ? null : error.param,
  hint: error.hint,
  ...obstacleOf(error),
  request_id: requestId,
});

/** Answers an error in the form of the surface that was asked; only what is ours to fix is logged with its cause. */
export function sendError(thrown: unknown, request: FastifyRequest, reply: FastifyReply, logger: Logger): FastifyReply {
  const error = toAppError(thrown);
  if (error.httpStatus >= 500) {
    logger.error({
      op: `${request.method} ${request.routeOptions.url ?? request.url}`,
      requestId: request.id,
      err: error,
    });
  }
  // The SDK repeats a 409 twice by itself; repeating does not help with ours.
  if (error.httpStatus === 409) reply.header('x-should-retry', 'false');
  if (error.httpStatus === 401) reply.header('www-authenticate', 'Bearer');
  reply.code(error.httpStatus);
  reply.removeHeader('connection'); // the web server closes it after a body that it does not take
  readAway(request.raw);
  if (request.url.startsWith('/v1')) return reply.type('application/json').send(JSON.stringify(openAiBody(error)));
  return reply.type('application/problem+json').send(JSON.stringify(problemBody(error, request.id)));
}

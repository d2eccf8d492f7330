import type { LoggerService } from '@nestjs/common';
import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';

export type { Logger } from 'pino';

/** Inject with `@Inject(LOGGER)`. */
export const LOGGER = Symbol('luthier.logger');

export interface LogOptions {
  service: string;
  level: string;
  /** @default stdout */
  destination?: DestinationStream;
}

const SECRET_KEYS = ['password', 'apiKey', 'token', 'secret', 'authorization', 'cookie'];

/** One JSON line per entry, named after the service; fields that could be secrets are removed. */
export function createLogger({ service, level, destination }: LogOptions): Logger {
  const options = {
    name: service,
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`]), censor: '***' },
  };
  return destination ? pino(options, destination) : pino(options);
}

/** Nest's own messages, in the same log. Its start-up chatter is debug here. */
export class NestLog implements LoggerService {
  constructor(private readonly logger: Logger) {}
  log(message: unknown, ...rest: unknown[]): void {
    this.logger.debug({ context: rest.at(-1) }, textOf(message));
  }
  error(message: unknown, ...rest: unknown[]): void {
    this.logger.error({ context: rest.at(-1), ...(message instanceof Error && { err: message }) }, textOf(message));
  }
  warn(message: unknown, ...rest: unknown[]): void {
    this.logger.warn({ context: rest.at(-1) }, textOf(message));
  }
  debug(message: unknown, ...rest: unknown[]): void {
    this.logger.debug({ context: rest.at(-1) }, textOf(message));
  }
  verbose(message: unknown, ...rest: unknown[]): void {
    this.logger.trace({ context: rest.at(-1) }, textOf(message));
  }
}

const textOf = (message: unknown): string =>
  message instanceof Error ? message.message : typeof message === 'string' ? message : (JSON.stringify(message) ?? '');

/** One flat line for one unit of work: a request, a delivery, a reconciliation. */
export interface WideEvent {
  /** What was done, e.g. a subject or `GET /v1/models`. */
  op: string;
  ok: boolean;
  durationMs: number;
  /** Code of the AppError that ended it. */
  errorCode?: string;
  /** Goes to the log with its stack, never to a caller. */
  cause?: unknown;
  [field: string]: unknown;
}

/** Never throws. A fault inside (code `internal`) is an error, a refusal a warning, the rest info. */
export function logWideEvent(logger: Logger, event: WideEvent): void {
  const { cause, durationMs, ...rest } = event;
  const line = { ...rest, durationMs: Math.round(durationMs * 10) / 10, ...(cause !== undefined && { err: cause }) };
  if (event.ok) logger.info(line);
  else if (event.errorCode === undefined || event.errorCode === 'internal') logger.error(line);
  else logger.warn(line);
}

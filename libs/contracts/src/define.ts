import type { z } from 'zod';
import type { ErrorCode } from './errors.js';

/** The services that answer requests and own events. */
export const SERVICES = ['gateway', 'datasets', 'training', 'trainer', 'evaluation', 'registry', 'inference'] as const;
export type ServiceName = (typeof SERVICES)[number];

/**
 * A request that one service answers. The definition itself is what caller and handler share, so a wrong payload does
 * not compile on either side.
 */
export interface RequestDefinition<Req extends z.ZodType = z.ZodType, Res extends z.ZodType = z.ZodType> {
  readonly kind: 'request';
  readonly subject: string;
  readonly service: ServiceName;
  readonly request: Req;
  readonly response: Res;
  /** Codes a handler may answer with, beside `internal` and `request.invalid`. */
  readonly errors: readonly ErrorCode[];
  readonly timeoutMs: number;
}

/** An event of record: kept in a stream, written through the outbox of the service that owns the state. */
export interface EventDefinition<Schema extends z.ZodType = z.ZodType> {
  readonly kind: 'event';
  readonly subject: string;
  readonly service: ServiceName;
  readonly schema: Schema;
  /** Names one occurrence: the same key is the same event, however often it is published. */
  readonly key: (payload: z.output<Schema>) => string;
}

const REQUEST_SUBJECT = /^luthier\.v1\.rpc\.([a-z]+)\.[a-z]+(-[a-z]+)*$/;
const EVENT_SUBJECT = /^luthier\.v1\.event\.([a-z]+)\.[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*$/;

function serviceOf(subject: string, pattern: RegExp): ServiceName {
  const name = pattern.exec(subject)?.[1];
  const service = SERVICES.find((candidate) => candidate === name);
  if (!service) throw new Error(`"${subject}" is not a subject of the form ${pattern.source}`);
  return service;
}

/** Declares a request. @throws Error when the subject does not have the agreed form (a programming fault). */
export function defineRequest<Req extends z.ZodType, Res extends z.ZodType>(definition: {
  subject: string;
  request: Req;
  response: Res;
  errors?: readonly ErrorCode[];
  /** Time the caller waits for the answer. @default 5000 */
  timeoutMs?: number;
}): RequestDefinition<Req, Res> {
  return {
    kind: 'request',
    subject: definition.subject,
    service: serviceOf(definition.subject, REQUEST_SUBJECT),
    request: definition.request,
    response: definition.response,
    errors: definition.errors ?? [],
    timeoutMs: definition.timeoutMs ?? 5_000,
  };
}

/** Declares an event of record. @throws Error when the subject does not have the agreed form. */
export function defineEvent<Schema extends z.ZodType>(definition: {
  subject: string;
  schema: Schema;
  key: (payload: z.output<Schema>) => string;
}): EventDefinition<Schema> {
  return { kind: 'event', service: serviceOf(definition.subject, EVENT_SUBJECT), ...definition };
}

export type RequestOf<D> = D extends RequestDefinition<infer Req, z.ZodType> ? z.input<Req> : never;
export type ResponseOf<D> = D extends RequestDefinition<z.ZodType, infer Res> ? z.output<Res> : never;
export type EventOf<D> = D extends EventDefinition<infer Schema> ? z.output<Schema> : never;

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { ErrorCode } from '@luthier/contracts';

export const TAGS = ['Files', 'Fine-tuning', 'Models', 'Chat', 'Platform', 'Session', 'Data', 'Jobs'] as const;

type Shape = z.ZodObject | undefined;
type Body = z.ZodType | undefined;

/** What goes back. Without a schema the handler sends bytes or nothing itself. */
interface Answer<A extends z.ZodType | undefined = z.ZodType | undefined> {
  readonly status: number;
  readonly description: string;
  readonly schema?: A;
  /** @default application/json */
  readonly contentType?: string;
}

/**
 * One public route: the same value is served, documented in the OpenAPI document and typed in its handler. Schemas are
 * those of contracts (camelCase); the wire form is snake_case (`snake-case.ts`).
 */
export interface RouteDefinition<
  P extends Shape = Shape,
  Q extends Shape = Shape,
  B extends Body = Body,
  A extends z.ZodType | undefined = z.ZodType | undefined,
> {
  /** `operationId` of the document. */
  readonly id: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** With `{name}` for parameters. What begins with `/v1` answers errors in OpenAI's form, the rest as problem+json. */
  readonly path: `/v1/${string}` | `/api/v1/${string}`;
  readonly tag: (typeof TAGS)[number];
  readonly summary: string;
  readonly description?: string;
  /** @default key: an API key or a session is needed. `none`: open to all. */
  readonly auth?: 'key' | 'none';
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** The body is multipart/form-data: documented from `body`, read by the handler as a stream. */
  readonly multipart?: boolean;
  readonly answer: Answer<A>;
  /** Codes beside the ones every route has. */
  readonly errors?: readonly ErrorCode[];
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;

export interface RouteContext<P = undefined, Q = undefined, B = undefined> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly requestId: string;
}

/** A definition with its handler, ready to be served. */
export interface RouteBinding {
  readonly route: RouteDefinition;
  readonly handle: (context: RouteContext<unknown, unknown, unknown>) => Promise<unknown>;
}

export const defineRoute = <
  P extends Shape = undefined,
  Q extends Shape = undefined,
  B extends Body = undefined,
  A extends z.ZodType | undefined = undefined,
>(
  definition: RouteDefinition<P, Q, B, A>,
): RouteDefinition<P, Q, B, A> => definition;

/** Binds a handler whose parameters and answer are those of the definition. */
export function bindRoute<P extends Shape, Q extends Shape, B extends Body, A extends z.ZodType | undefined>(
  route: RouteDefinition<P, Q, B, A>,
  handle: (
    context: RouteContext<Parsed<P>, Parsed<Q>, Parsed<B>>,
  ) => Promise<A extends z.ZodType ? z.input<A> : unknown>,
): RouteBinding {
  return {
    route,
    // serve-routes has parsed the three with this very definition before it calls.
    handle: (context) => handle(context as RouteContext<Parsed<P>, Parsed<Q>, Parsed<B>>),
  };
}

import type { Schemas } from './client.js';

/** What the platform answered instead of a result; the same for both forms of error on the wire. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    readonly status: number,
    message: string,
    /** One of the platform's codes, e.g. `file.not-found`; null when something else answered. */
    readonly code: string | null,
    /** The field at fault. */
    readonly param: string | null,
    /** What to do about it. */
    readonly hint: string | null,
    /** Names the request in the logs. */
    readonly requestId: string | null,
    /** What is in the way of the run that was asked for; null: the error is of something else. */
    readonly obstacle: Schemas['Obstacle'] | null = null,
  ) {
    super(message);
  }
}

const textOf = (source: object, key: string): string | null => {
  const value: unknown = Reflect.get(source, key);
  return typeof value === 'string' ? value : null;
};

/** As the platform sends it; only that it is one is looked at. */
function obstacleOf(source: object): Schemas['Obstacle'] | null {
  const value: unknown = Reflect.get(source, 'obstacle');
  return typeof value === 'object' && value !== null && 'reason' in value && 'params' in value
    ? (value as Schemas['Obstacle'])
    : null;
}

/** Reads the body of a failed answer, whether OpenAI's form or problem+json. */
export function toApiError(response: Response, body: unknown): ApiError {
  const outer = typeof body === 'object' && body !== null ? body : {};
  const nested: unknown = Reflect.get(outer, 'error');
  const source = typeof nested === 'object' && nested !== null ? nested : outer;
  const message = textOf(source, 'message') ?? textOf(source, 'detail') ?? `The platform answered ${response.status}`;
  return new ApiError(
    response.status,
    message,
    textOf(source, 'code'),
    textOf(source, 'param'),
    textOf(source, 'hint'),
    response.headers.get('x-request-id'),
    obstacleOf(source),
  );
}

/** The data of a call. @throws ApiError when the platform answered with an error. */
export async function unwrap<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw toApiError(response, error);
  return data as T;
}

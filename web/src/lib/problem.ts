import { ApiError } from '@luthier/api-client';

export interface Problem {
  /** Null: the platform did not answer at all. */
  title: string | null;
  hint: string | null;
  /** One of the platform's codes. */
  code: string | null;
  requestId: string | null;
  /** What is in the way of the run that was asked for. */
  obstacle: ApiError['obstacle'];
}

/** What a failed call tells the reader; what is not an answer of the platform is told as unreachable, never as a trace. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ApiError) {
    const { message: title, hint, code, requestId, obstacle } = error;
    return { title, hint, code, requestId, obstacle };
  }
  return { title: null, hint: null, code: null, requestId: null, obstacle: null };
}

/** What is wrong with a field of the request, without its name; null: the error is of something else. */
export function faultOf(error: unknown, field: string): string | null {
  if (!(error instanceof ApiError) || error.param?.endsWith(field) !== true) return null;
  const start = `${error.param}: `;
  return error.message.startsWith(start) ? error.message.slice(start.length) : error.message;
}

export const isSignedOut = (error: unknown): boolean => error instanceof ApiError && error.status === 401;
export const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.status === 404;
/** Worth asking again by itself: the platform was not reached or a part of it was away. */
export const isPassing = (error: unknown): boolean =>
  !(error instanceof ApiError) || error.status === 429 || error.status >= 502;

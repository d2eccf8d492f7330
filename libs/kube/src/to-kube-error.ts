import { KubeError, REASONS } from './kube-error.js';
import type { KubeErrorCause, KubeErrorDetails, KubeErrorKind } from './kube-error.js';

const MAX_MESSAGE = 1_000;
const MAX_CAUSES = 20;

interface Status {
  code?: number;
  reason?: string;
  message?: string;
  details?: {
    name?: string;
    retryAfterSeconds?: number;
    causes: KubeErrorCause[];
  };
}

/**
 * An answer that is not 2xx. Never throws: `body` may be a `Status`, a text such as `404 page not found`, or anything.
 * `what` names the call for people, e.g. `GET jobs training/ft-1`.
 */
export function answerToKubeError(what: string, status: number, body: string, retryAfter?: string): KubeError {
  const said = parseStatus(body);
  const reason = said?.reason ?? (status === 404 && said?.details?.name === undefined ? REASONS.notServed : undefined);
  const details = said ? said.message : body.trim();
  return make(kindOf(status, reason), what, details, {
    status,
    reason: status === 404 && said?.details?.name === undefined ? REASONS.notServed : reason,
    retryAfterMs: retryAfterMs(retryAfter) ?? secondsToMs(said?.details?.retryAfterSeconds),
    causes: said?.details?.causes ?? [],
  });
}

/** The object of an `ERROR` event, which comes inside an answer of status 200. */
export function eventToKubeError(what: string, object: unknown): KubeError {
  const said = statusOf(object);
  const status = said?.code ?? 500;
  return make(kindOf(status, said?.reason), what, said?.message, {
    status,
    reason: said?.reason,
    retryAfterMs: secondsToMs(said?.details?.retryAfterSeconds),
    causes: said?.details?.causes ?? [],
  });
}

/** No answer at all: refused, reset, cut, no such host, a certificate that does not fit. */
export function networkToKubeError(what: string, cause: unknown): KubeError {
  if (cause instanceof KubeError) return cause;
  const code = codeOf(cause);
  const said = isRecord(cause) && typeof cause['message'] === 'string' ? cause['message'] : '';
  const words = (code !== undefined && NETWORK_WORDS[code]) || said || code || 'no answer';
  return make('unreachable', what, `the Kubernetes API cannot be reached (${words})`, {
    reason: code,
    cause,
  });
}

const NETWORK_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused; is the API server running, and is this its address?',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'its host name is not known',
  EAI_AGAIN: 'its host name could not be looked up',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'there is no way to its host',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not signed by the given certificate authority',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not signed by the given certificate authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not signed by the given certificate authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host name',
  CERT_HAS_EXPIRED: 'its certificate has expired',
};

function kindOf(status: number, reason: string | undefined): KubeErrorKind {
  switch (status) {
    case 401:
      return 'unauthorized';
    case 403:
      return 'forbidden';
    case 404:
      return 'not-found';
    case 408:
    case 504:
      return 'timeout';
    case 409:
      return reason === 'AlreadyExists' ? 'already-exists' : 'conflict';
    case 410:
      return 'gone';
    case 429:
      return 'throttled';
    default:
      return status >= 400 && status < 500 ? 'invalid' : 'server-error';
  }
}

function make(kind: KubeErrorKind, what: string, said: string | undefined, details: KubeErrorDetails): KubeError {
  const status = details.status === undefined ? '' : ` (${details.status})`;
  const text = (said ?? '').slice(0, MAX_MESSAGE).trim();
  return new KubeError(kind, `${what}${status}: ${text === '' ? kind : text}`, details);
}

/** Seconds, or a date, as in the header `Retry-After`. Undefined where it is neither. */
export function retryAfterMs(header: string | undefined, now = Date.now()): number | undefined {
  const text = header?.trim();
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

const secondsToMs = (seconds: number | undefined): number | undefined =>
  seconds === undefined || seconds <= 0 ? undefined : seconds * 1_000;

function parseStatus(body: string): Status | undefined {
  if (!body.trimStart().startsWith('{')) return undefined;
  try {
    return statusOf(JSON.parse(body));
  } catch {
    return undefined;
  }
}

/** Reads a `Status` field by field, because a proxy in between may answer with anything. */
function statusOf(value: unknown): Status | undefined {
  if (!isRecord(value) || value['kind'] !== 'Status') return undefined;
  const details = value['details'];
  return {
    ...(typeof value['code'] === 'number' && { code: value['code'] }),
    ...(typeof value['reason'] === 'string' && { reason: value['reason'] }),
    ...(typeof value['message'] === 'string' && { message: value['message'] }),
    ...(isRecord(details) && {
      details: {
        ...(typeof details['name'] === 'string' && { name: details['name'] }),
        ...(typeof details['retryAfterSeconds'] === 'number' && { retryAfterSeconds: details['retryAfterSeconds'] }),
        causes: causesOf(details['causes']),
      },
    }),
  };
}

function causesOf(value: unknown): KubeErrorCause[] {
  if (!Array.isArray(value)) return [];
  return value
    .slice(0, MAX_CAUSES)
    .filter(isRecord)
    .map((cause) => ({
      ...(typeof cause['field'] === 'string' && { field: cause['field'] }),
      ...(typeof cause['reason'] === 'string' && { reason: cause['reason'] }),
      message: typeof cause['message'] === 'string' ? cause['message'].slice(0, MAX_MESSAGE) : '',
    }));
}

function codeOf(error: unknown, depth = 0): string | undefined {
  if (!isRecord(error) || depth > 5) return undefined;
  return typeof error['code'] === 'string' ? error['code'] : codeOf(error['cause'], depth + 1);
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** All that can go wrong between this library and the Kubernetes API, for callers to switch over. */
export type KubeErrorKind =
  | 'not-found'
  | 'already-exists'
  | 'conflict'
  | 'invalid'
  | 'forbidden'
  | 'unauthorized'
  | 'gone'
  | 'throttled'
  | 'timeout'
  | 'unreachable'
  | 'server-error';

/** One field that the API refused, as in `details.causes` of its answer. */
export interface KubeErrorCause {
  field?: string;
  message: string;
  reason?: string;
}

export interface KubeErrorDetails {
  /** HTTP status, if the API answered. */
  status?: number | undefined;
  /** The API's own word, such as `AlreadyExists` or `Expired`, or one of {@link REASONS}. */
  reason?: string | undefined;
  /** How long the API wants to be left alone. */
  retryAfterMs?: number | undefined;
  causes?: readonly KubeErrorCause[];
  cause?: unknown;
}

/** Reasons that this library gives where the API gave none. */
export const REASONS = {
  /** The kind itself is not served: its definition is not installed, or in another version. */
  notServed: 'KindNotServed',
  /** Nothing came over a watch for too long, not even a bookmark. */
  silent: 'SilentStream',
  /** An answer, or one line of a watch, was longer than its bound. */
  tooLarge: 'AnswerTooLarge',
  /** The answer was not what the API promises. */
  unreadable: 'UnreadableAnswer',
  /** The kubeconfig or the pod's service account could not be used. */
  credentials: 'NoCredentials',
} as const;

/** The only error that a call of {@link KubeClient} rejects with, besides the reason of the caller's own signal. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly status?: number;
  readonly reason?: string;
  readonly retryAfterMs?: number;
  readonly causes: readonly KubeErrorCause[];

  constructor(
    readonly kind: KubeErrorKind,
    message: string,
    details: KubeErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    if (details.status !== undefined) this.status = details.status;
    if (details.reason !== undefined) this.reason = details.reason;
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs;
    this.causes = details.causes ?? [];
  }

  /** The object's kind is not installed, as opposed to one object that is not there. */
  get notServed(): boolean {
    return this.kind === 'not-found' && this.reason === REASONS.notServed;
  }
}

export const isKubeError = (error: unknown, ...kinds: readonly KubeErrorKind[]): error is KubeError =>
  error instanceof KubeError && (kinds.length === 0 || kinds.includes(error.kind));

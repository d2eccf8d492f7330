import type { RunParams, RunReason } from '@luthier/contracts';
import { excerptOf, shortText } from './excerpt.js';
import { DEFAULT_GPU_RESOURCE } from './facts.js';
import { readRefusal } from './refusal-text.js';
import type { Refusal } from './refusal-text.js';
import { sentence } from './sentences.js';
import type { Explanation } from './view.js';

/** What is read of an error of the cluster's client. */
export interface ViewedApiError {
  kind: string;
  status?: number | undefined;
  reason?: string | undefined;
  message: string;
}

export interface ApiErrorContext {
  /** Of the object that was written. */
  name?: string | undefined;
  namespace?: string | undefined;
  /** When the API was first found unreachable, in ms since 1970. */
  sinceMs?: number | undefined;
  gpuResource?: string | undefined;
}

/**
 * What an error means for the run whose object was being written. Undefined: nothing to tell anyone, it is tried again
 * (too many requests, a server's passing fault, a conflict, an expired watch). Never an end for unreachability.
 */
export function explainApiError(error: ViewedApiError, context: ApiErrorContext = {}): Explanation | undefined {
  const say = (reason: RunReason, params: RunParams, fatal: boolean, afterMs: number): Explanation => {
    const excerpt = excerptOf(error.message);
    const message = sentence(reason, params);
    return { phase: 'scheduling', reason, params, message, ...(excerpt !== undefined && { excerpt }), fatal, afterMs };
  };
  const refusal = (): Refusal => readRefusal(error.message, context.gpuResource ?? DEFAULT_GPU_RESOURCE);
  switch (error.kind) {
    case 'unreachable':
    case 'timeout': {
      const { sinceMs } = context;
      const since = sinceMs === undefined ? {} : { since: new Date(sinceMs).toISOString().slice(0, 19) + 'Z' };
      return say('cluster-unreachable', since, false, Infinity);
    }
    case 'unauthorized':
      return say('cluster-forbidden', { cause: 'badCredentials' }, false, Infinity);
    case 'already-exists':
      return say('name-taken', context.name === undefined ? {} : { name: shortText(context.name) }, true, 0);
    case 'forbidden': {
      if (error.reason === 'NamespaceTerminating') {
        const name = context.namespace === undefined ? {} : { name: shortText(context.namespace) };
        return say('namespace-terminating', name, true, 0);
      }
      const { reason, params, hopeless } = refusal();
      // A right can be given while the run waits; a quota is free again when another run ends.
      const waits = reason === 'cluster-forbidden' || !hopeless;
      return say(reason, params, !waits, waits ? Infinity : 0);
    }
    case 'invalid':
      return say('object-refused', refusal().params, true, 0);
    case 'server-error': {
      const { params, hopeless } = refusal();
      return hopeless ? undefined : say('object-refused', params, false, Infinity);
    }
    default:
      return undefined;
  }
}

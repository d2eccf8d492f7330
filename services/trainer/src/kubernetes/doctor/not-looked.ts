import type { ClusterCheck } from '@luthier/contracts';
import { isKubeError } from '@luthier/kube';
import { fail, warn } from '../../inventory/findings.js';
import type { About } from '../../inventory/findings.js';
import { excerptOf } from '../explain/excerpt.js';

/** Somebody else's words, fit to be shown. */
export const wordsOf = (cause: unknown): string =>
  excerptOf(cause instanceof Error ? cause.message : String(cause)) ?? '';

/** A look that itself could not be made. */
export const notLooked = (about: About, cause: unknown): ClusterCheck =>
  isKubeError(cause, 'forbidden')
    ? warn(about, 'look-forbidden', { cause: wordsOf(cause) })
    : fail(about, 'look-failed', { cause: wordsOf(cause) });

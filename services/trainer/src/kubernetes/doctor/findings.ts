import type { ClusterCheck } from '@luthier/contracts';
import { KubeError } from '@luthier/kube';

export const ok = (check: string, message: string): ClusterCheck => ({ check, state: 'ok', message, fix: null });
export const warn = (check: string, message: string, fix: string): ClusterCheck => ({
  ...{ check, state: 'warn', message, fix },
});
export const fail = (check: string, message: string, fix: string): ClusterCheck => ({
  ...{ check, state: 'fail', message, fix },
});

/** A look that itself could not be made. */
export function notLooked(check: string, cause: unknown): ClusterCheck {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof KubeError && cause.kind === 'forbidden') {
    return warn(check, `This could not be looked at: ${message}`, 'Apply the role file again (see "permissions").');
  }
  return fail(check, `This could not be looked at: ${message}`, 'Try again; see the first failing check and the log.');
}

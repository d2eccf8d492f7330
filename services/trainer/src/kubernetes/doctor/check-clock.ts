import { CONFIG_MAPS } from '@luthier/kube';
import type { ClusterCheck } from '@luthier/contracts';
import type { KubeClient } from '@luthier/kube';
import { fail, ok, warn } from '../../inventory/findings.js';
import { notLooked } from './not-looked.js';

/** The cluster tells whole seconds. */
const RESOLUTION_MS = 1_000;
const NOTICED_MS = 5_000;
/** Leases and tokens are judged by clocks. */
const HARMFUL_MS = 60_000;

/** Compares clocks by an object that is never stored (dry run): the API server writes its time into it. */
export async function checkClock(
  client: Pick<KubeClient, 'create'>,
  namespace: string,
  now: () => number,
): Promise<ClusterCheck> {
  try {
    const before = now();
    const made = await client.create(
      CONFIG_MAPS,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name: 'luthier-clock-look' } },
      { dryRun: true },
    );
    const after = now();
    const theirs = Date.parse(made.metadata?.creationTimestamp ?? '');
    if (Number.isNaN(theirs)) return warn('clock', 'clock-untold', {});
    const skewMs = Math.max(0, before - (theirs + RESOLUTION_MS), theirs - after);
    if (skewMs <= NOTICED_MS) return ok('clock', 'clocks-agree', {});
    const say = skewMs > HARMFUL_MS ? fail : warn;
    return say('clock', 'clocks-differ', { seconds: Math.round(skewMs / 1_000) });
  } catch (cause) {
    return notLooked('clock', cause);
  }
}

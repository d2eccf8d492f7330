import { CONFIG_MAPS } from '@luthier/kube';
import type { ClusterCheck } from '@luthier/contracts';
import type { KubeClient } from '@luthier/kube';
import { fail, notLooked, ok, warn } from './findings.js';

const CHECK = 'clock';
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
    if (Number.isNaN(theirs))
      return warn(CHECK, 'The API server did not tell its time.', 'Compare the clocks by hand.');
    const skewMs = Math.max(0, before - (theirs + RESOLUTION_MS), theirs - after);
    if (skewMs <= NOTICED_MS) return ok(CHECK, 'The clocks agree.');
    const message = `This machine and the API server differ by ${Math.round(skewMs / 1_000)} seconds.`;
    const fix = 'Let both follow a time server (NTP): leases and tokens depend on it.';
    return skewMs > HARMFUL_MS ? fail(CHECK, message, fix) : warn(CHECK, message, fix);
  } catch (cause) {
    return notLooked(CHECK, cause);
  }
}

import type { ClusterCheck, ClusterReport } from '@luthier/contracts';
import { isKubeError } from '@luthier/kube';
import type { KubeClient } from '@luthier/kube';
import { fail, ok } from '../../inventory/findings.js';
import type { ClusterProfile } from '../cluster-profile.js';
import type { ClusterSnapshot } from '../inventory/cluster-snapshot.js';
import { checkCarriers } from './check-carriers.js';
import { checkClock } from './check-clock.js';
import { checkProfile, checkQueues, checkQuota, checkWatches } from './check-devices.js';
import { checkNamedObjects, checkNamespace } from './check-named-objects.js';
import { checkPermissions } from './check-permissions.js';
import { notLooked, wordsOf } from './not-looked.js';
import { readPermissions } from './role.js';

export interface DoctorParts {
  readonly client: Pick<KubeClient, 'discover' | 'canI' | 'get' | 'create'>;
  readonly namespace: string;
  readonly profiles: readonly ClusterProfile[];
  readonly snapshot: () => ClusterSnapshot;
  readonly watches: () => ClusterReport['watches'];
  readonly now?: () => number;
}

/** Looks at everything that runs in a cluster need. Never throws: what cannot be looked at is a finding of its own. */
export async function examine(parts: DoctorParts): Promise<ClusterCheck[]> {
  const { client, namespace, profiles } = parts;
  let served: ReadonlySet<string>;
  try {
    served = await client.discover();
  } catch (cause) {
    return [unreachable(cause)];
  }
  const permissions = async (): Promise<ClusterCheck> => {
    try {
      return await checkPermissions(client, { permissions: await readPermissions(), served, namespace });
    } catch (cause) {
      return notLooked('permissions', cause);
    }
  };
  const [space, rights, carriers, named, clock] = await Promise.all([
    checkNamespace(client, namespace),
    permissions(),
    checkCarriers(client, { profiles, served, namespace }),
    checkNamedObjects(client, profiles, namespace),
    checkClock(client, namespace, parts.now ?? Date.now),
  ]);
  const snapshot = parts.snapshot();
  return [
    ok('api', 'api-answers', { kinds: served.size }),
    space,
    rights,
    ...carriers,
    ...named,
    ...profiles.flatMap((profile) => checkProfile(profile, snapshot)),
    checkQuota(snapshot),
    checkQueues(profiles, snapshot),
    clock,
    checkWatches(parts.watches()),
  ];
}

const unreachable = (cause: unknown): ClusterCheck =>
  fail('api', isKubeError(cause, 'unauthorized') ? 'api-unauthorized' : 'api-unreachable', { cause: wordsOf(cause) });

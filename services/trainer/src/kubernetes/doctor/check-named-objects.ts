import { NAMESPACES, PERSISTENT_VOLUME_CLAIMS, RUNTIME_CLASSES, SECRETS, SERVICE_ACCOUNTS } from '@luthier/kube';
import type { ClusterCheck } from '@luthier/contracts';
import type { KubeClient } from '@luthier/kube';
import { fail, ok } from '../../inventory/findings.js';
import type { About } from '../../inventory/findings.js';
import type { ClusterProfile } from '../cluster-profile.js';
import { notLooked } from './not-looked.js';

type Reader = Pick<KubeClient, 'get'>;

const names = (all: readonly (string | undefined)[]): string[] =>
  [...new Set(all.filter((name) => name !== undefined))].sort();

/** `missing`: the finding where there is none. */
async function checkThere(
  about: About,
  { name, find, missing }: { name: string; find: Promise<unknown>; missing: ClusterCheck },
): Promise<ClusterCheck> {
  try {
    return (await find) === undefined ? missing : ok(about, 'object-there', { name });
  } catch (cause) {
    return notLooked(about, cause);
  }
}

async function checkClaim(client: Reader, name: string, namespace: string): Promise<ClusterCheck> {
  try {
    const claim = await client.get(PERSISTENT_VOLUME_CLAIMS, name, namespace);
    if (!claim) return fail('storage', 'claim-missing', { name, namespace });
    const phase = claim.status?.phase ?? 'Pending';
    return phase === 'Bound'
      ? ok('storage', 'object-there', { name })
      : fail('storage', 'claim-unbound', { name, phase });
  } catch (cause) {
    return notLooked('storage', cause);
  }
}

export const checkNamespace = (client: Reader, namespace: string): Promise<ClusterCheck> =>
  checkThere('namespace', {
    ...{ name: namespace, find: client.get(NAMESPACES, namespace) },
    missing: fail('namespace', 'namespace-missing', { name: namespace }),
  });

/** Everything that pods name: accounts, pull secrets, runtime classes, claims. */
export async function checkNamedObjects(
  client: Reader,
  profiles: readonly ClusterProfile[],
  namespace: string,
): Promise<ClusterCheck[]> {
  const accounts = names(profiles.map(({ serviceAccount }) => serviceAccount));
  const secrets = names(profiles.flatMap(({ imagePullSecrets }) => imagePullSecrets));
  const classes = names(profiles.map(({ runtimeClassName }) => runtimeClassName));
  const claims = names(profiles.map(({ artifactsClaim }) => artifactsClaim));
  return Promise.all([
    ...accounts.map((name) =>
      checkThere('service-account', {
        ...{ name, find: client.get(SERVICE_ACCOUNTS, name, namespace) },
        missing: fail('service-account', 'service-account-missing', { name, namespace }),
      }),
    ),
    ...secrets.map((name) =>
      checkThere('pull-secret', {
        ...{ name, find: client.get(SECRETS, name, namespace) },
        missing: fail('pull-secret', 'pull-secret-missing', { name, namespace }),
      }),
    ),
    ...classes.map((name) =>
      checkThere('runtime-class', {
        ...{ name, find: client.get(RUNTIME_CLASSES, name) },
        missing: fail('runtime-class', 'runtime-class-missing', { name }),
      }),
    ),
    ...claims.map((name) => checkClaim(client, name, namespace)),
  ]);
}

import { NAMESPACES, PERSISTENT_VOLUME_CLAIMS, RUNTIME_CLASSES, SECRETS, SERVICE_ACCOUNTS } from '@luthier/kube';
import type { ClusterCheck } from '@luthier/contracts';
import type { KubeClient, KubeObject, Resource } from '@luthier/kube';
import type { ClusterProfile } from '../cluster-profile.js';
import { fail, notLooked, ok } from './findings.js';

type Reader = Pick<KubeClient, 'get'>;

const names = (all: readonly (string | undefined)[]): string[] =>
  [...new Set(all.filter((name) => name !== undefined))].sort();

async function checkThere<T extends KubeObject>(
  client: Reader,
  thing: { check: string; resource: Resource<T>; name: string; namespace?: string; fix: string },
): Promise<ClusterCheck> {
  const { check, resource, name, namespace, fix } = thing;
  const where = namespace === undefined ? '' : ` in namespace ${namespace}`;
  try {
    const found = await client.get(resource, name, namespace);
    return found ? ok(check, `${name} is there.`) : fail(check, `${name} does not exist${where}.`, fix);
  } catch (cause) {
    return notLooked(check, cause);
  }
}

async function checkClaim(client: Reader, name: string, namespace: string): Promise<ClusterCheck> {
  const check = 'shared storage';
  try {
    const claim = await client.get(PERSISTENT_VOLUME_CLAIMS, name, namespace);
    const phase = claim?.status?.phase;
    if (phase === 'Bound') return ok(check, `Claim ${name} is bound.`);
    if (!claim) {
      return fail(
        check,
        `Claim ${name} does not exist in namespace ${namespace}.`,
        'Create it (ReadWriteMany), or correct `artifactsClaim` of the profile.',
      );
    }
    return fail(
      check,
      `Claim ${name} is ${phase ?? 'new'}: pods that use it cannot start.`,
      'See `kubectl describe pvc`: mostly its storage class does not exist or has no volume for it.',
    );
  } catch (cause) {
    return notLooked(check, cause);
  }
}

export const checkNamespace = (client: Reader, namespace: string): Promise<ClusterCheck> =>
  checkThere(client, {
    ...{ check: 'namespace', resource: NAMESPACES, name: namespace },
    fix: `Create it: kubectl create namespace ${namespace}`,
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
      checkThere(client, {
        ...{ check: 'service account of the pods', resource: SERVICE_ACCOUNTS, name, namespace },
        fix: `Create it: kubectl -n ${namespace} create serviceaccount ${name}`,
      }),
    ),
    ...secrets.map((name) =>
      checkThere(client, {
        ...{ check: 'image pull secret', resource: SECRETS, name, namespace },
        fix: `Create it: kubectl -n ${namespace} create secret docker-registry ${name} ...`,
      }),
    ),
    ...classes.map((name) =>
      checkThere(client, {
        ...{ check: 'runtime class', resource: RUNTIME_CLASSES, name },
        fix: 'Install it (NVIDIA: with the GPU operator), or take `runtimeClassName` out of the profile.',
      }),
    ),
    ...claims.map((name) => checkClaim(client, name, namespace)),
  ]);
}

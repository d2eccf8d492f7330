import type { ClusterCheck } from '@luthier/contracts';
import type { KubeClient } from '@luthier/kube';
import { fail, ok } from './findings.js';
import type { Permission } from './role.js';

const ROLE_FILE = 'charts/luthier/files/trainer-role.yaml';
const CHECK = 'permissions';
const AT_ONCE = 8;
/** Groups of systems that a cluster need not have. */
const OPTIONAL =
  /^(kueue\.x-k8s\.io|jobset\.x-k8s\.io|trainer\.kubeflow\.org|scheduling\.volcano\.sh|scheduling\.x-k8s\.io|resource\.k8s\.io)$/;

const inWords = ({ verb, group, resource, subresource, everywhere }: Permission): string =>
  `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}${group === '' ? '' : ` (${group})`}${everywhere ? ' in all namespaces' : ''}`;

/** Asks the cluster about every permission of the role file. `served`: what discovery found, "group/version/plural". */
export async function checkPermissions(
  client: Pick<KubeClient, 'canI'>,
  {
    permissions,
    served,
    namespace,
  }: { permissions: readonly Permission[]; served: ReadonlySet<string>; namespace: string },
): Promise<ClusterCheck> {
  const groups = new Set([...served].map((path) => path.split('/')[0]));
  const asked = permissions.filter(({ group }) => !OPTIONAL.test(group) || groups.has(group));
  const missing: Permission[] = [];
  for (let from = 0; from < asked.length; from += AT_ONCE) {
    const some = asked.slice(from, from + AT_ONCE);
    const allowed = await Promise.all(
      some.map(({ everywhere, ...question }) => client.canI({ ...question, ...(!everywhere && { namespace }) })),
    );
    missing.push(...some.filter((_, index) => !allowed[index]));
  }
  if (missing.length === 0) return ok(CHECK, `All ${asked.length} permissions of the role file are there.`);
  return fail(
    CHECK,
    `The trainer may not: ${missing.map(inWords).join(', ')}.`,
    `Give its service account the rules of ${ROLE_FILE} (Role in namespace ${namespace}, ClusterRole).`,
  );
}

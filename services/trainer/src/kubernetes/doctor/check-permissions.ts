import type { ClusterCheck } from '@luthier/contracts';
import type { KubeClient } from '@luthier/kube';
import { fail, ok } from '../../inventory/findings.js';
import { listed } from '../../inventory/listed.js';
import type { Permission } from './role.js';

const ROLE_FILE = 'charts/luthier/files/trainer-role.yaml';
const AT_ONCE = 8;
/** Groups of systems that a cluster need not have. */
const OPTIONAL =
  /^(kueue\.x-k8s\.io|jobset\.x-k8s\.io|trainer\.kubeflow\.org|scheduling\.volcano\.sh|scheduling\.x-k8s\.io|resource\.k8s\.io)$/;

/** "create jobs.batch", as kubectl names resources. */
const nameOf = ({ verb, group, resource, subresource }: Permission): string =>
  `${verb} ${resource}${group === '' ? '' : `.${group}`}${subresource === undefined ? '' : `/${subresource}`}`;

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
  if (missing.length === 0) return ok('permissions', 'permissions-complete', { count: asked.length });
  const named = (where: boolean): string =>
    listed(missing.filter(({ everywhere }) => everywhere === where).map(nameOf));
  return fail('permissions', 'permissions-missing', {
    ...{ here: named(false), everywhere: named(true), namespace, file: ROLE_FILE },
  });
}

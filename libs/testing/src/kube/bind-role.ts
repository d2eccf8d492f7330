import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { waitFor } from '../wait-for.js';
import type { ControlPlane } from './control-plane.js';

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

/** As charts/luthier/files/trainer-role.yaml: what an account may do in a namespace, and what everywhere. */
interface RoleFile {
  namespaced: Rule[];
  cluster: Rule[];
}

export interface BoundRole {
  /** Of the account. */
  readonly token: string;
  /** File, for the account. */
  readonly kubeconfig: string;
  /** Takes one right away, in the namespace and everywhere, until the API server heeds it; `resource` may be `pods/log`. */
  forbid(verb: string, resource: string): Promise<void>;
  /** Gives back what `forbid` has taken. */
  allow(): Promise<void>;
}

const REVIEWS = '/apis/authorization.k8s.io/v1/subjectaccessreviews';

/** A service account with exactly the rights of a role file, by real RBAC. */
export async function bindRole(
  cluster: ControlPlane,
  { namespace, account, file }: { namespace: string; account: string; file: string | URL },
): Promise<BoundRole> {
  const rights = parse(await readFile(file, 'utf8')) as RoleFile;
  const token = await cluster.serviceAccountToken(namespace, account);
  const api = 'rbac.authorization.k8s.io';
  const apiVersion = `${api}/v1`;
  const everywhere = `${namespace}-${account}`;
  const write = async (rules: RoleFile): Promise<void> => {
    await cluster.apply(
      { apiVersion, kind: 'Role', metadata: { name: account, namespace }, rules: rules.namespaced },
      { apiVersion, kind: 'ClusterRole', metadata: { name: everywhere }, rules: rules.cluster },
    );
  };
  await write(rights);
  const subjects = [{ kind: 'ServiceAccount', name: account, namespace }];
  await cluster.apply(
    {
      ...{ apiVersion, kind: 'RoleBinding', metadata: { name: account, namespace }, subjects },
      roleRef: { apiGroup: api, kind: 'Role', name: account },
    },
    {
      ...{ apiVersion, kind: 'ClusterRoleBinding', metadata: { name: everywhere }, subjects },
      roleRef: { apiGroup: api, kind: 'ClusterRole', name: everywhere },
    },
  );
  return {
    token,
    kubeconfig: await cluster.kubeconfigFor(token),
    forbid: async (verb, resource) => {
      const group = [...rights.namespaced, ...rights.cluster].find(covers(verb, resource))?.apiGroups[0];
      if (group === undefined) throw new Error(`the role never had the right to ${verb} ${resource}`);
      await write({
        namespaced: rights.namespaced.flatMap((rule) => without(rule, verb, resource)),
        cluster: rights.cluster.flatMap((rule) => without(rule, verb, resource)),
      });
      // It takes the API server a moment to heed it.
      const [plural, subresource] = resource.split('/');
      const resourceAttributes = { verb, group, resource: plural, subresource, namespace };
      const isRefused = async (): Promise<boolean> => {
        const { status } = await cluster.api.post<{ status: { allowed: boolean } }>(REVIEWS, {
          spec: { user: `system:serviceaccount:${namespace}:${account}`, resourceAttributes },
        });
        return !status.allowed;
      };
      await waitFor(isRefused, { what: `${verb} ${resource} to be forbidden` });
    },
    allow: () => write(rights),
  };
}

const covers =
  (verb: string, resource: string) =>
  ({ resources, verbs }: Rule): boolean =>
    resources.includes(resource) && verbs.includes(verb);

/** A rule of several resources keeps the others' right. */
function without(rule: Rule, verb: string, resource: string): Rule[] {
  if (!covers(verb, resource)(rule)) return [rule];
  const others = rule.resources.filter((name) => name !== resource);
  const verbs = rule.verbs.filter((name) => name !== verb);
  return [
    ...(others.length > 0 ? [{ ...rule, resources: others }] : []),
    ...(verbs.length > 0 ? [{ ...rule, resources: [resource], verbs }] : []),
  ];
}

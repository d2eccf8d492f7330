import type { KubeObject } from '@luthier/testing/kube';

interface Api {
  get<T>(path: string): Promise<T>;
}
interface Resources {
  groupVersion: string;
  resources: { name: string; kind: string; namespaced: boolean; verbs: string[] }[];
}

/** What comes and goes by itself. */
const PASSING = new Set(['Event', 'ComponentStatus']);

/** Every object of every kind that the API server has, as `namespace/Kind/name` or `Kind/name`. */
export async function allObjects(api: Api): Promise<Set<string>> {
  const { groups } = await api.get<{ groups: { preferredVersion: { groupVersion: string } }[] }>('/apis');
  const roots = ['/api/v1', ...groups.map(({ preferredVersion }) => `/apis/${preferredVersion.groupVersion}`)];
  const found = await Promise.all(roots.map((root) => objectsUnder(api, root)));
  return new Set(found.flat());
}

async function objectsUnder(api: Api, root: string): Promise<string[]> {
  const { resources } = await api.get<Resources>(root);
  const kinds = resources.filter(
    ({ name, kind, verbs }) => verbs.includes('list') && !name.includes('/') && !PASSING.has(kind),
  );
  const listed = kinds.map(async ({ name: plural, kind }) => {
    const { items } = await api.get<{ items: KubeObject[] }>(`${root}/${plural}`);
    return items.map(({ metadata: { namespace, name } = {} }) =>
      namespace === undefined ? `${kind}/${name}` : `${namespace}/${kind}/${name}`,
    );
  });
  return (await Promise.all(listed)).flat();
}

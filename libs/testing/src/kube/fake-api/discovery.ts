import { groupOf } from './status.js';
import type { FakeKind } from './store.js';

/** `/apis`, `/api/v1` and `/apis/<group>/<version>`; undefined for other paths and groups that are not served. */
export function discovery(path: string, kinds: readonly FakeKind[]): unknown {
  if (path === '/apis') return groups(kinds);
  const [, core, grouped] = /^\/(?:api\/(v1)|apis\/([^/]+\/[^/]+))$/.exec(path) ?? [];
  const groupVersion = core ?? grouped;
  const served = kinds.filter(({ apiVersion }) => apiVersion === groupVersion);
  if (served.length === 0) return undefined;
  const resources = served.flatMap(({ plural, kind, namespaced, hasStatus }) => [
    { name: plural, singularName: kind.toLowerCase(), namespaced, kind, verbs: ['get', 'list', 'watch', 'create'] },
    ...(hasStatus ? [{ name: `${plural}/status`, singularName: '', namespaced, kind, verbs: ['get', 'patch'] }] : []),
  ]);
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
}

function groups(kinds: readonly FakeKind[]): unknown {
  const versions = [...new Set(kinds.map(({ apiVersion }) => apiVersion).filter((one) => one.includes('/')))];
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: versions.map((groupVersion) => ({
      name: groupOf(groupVersion),
      versions: [{ groupVersion, version: groupVersion.split('/')[1] }],
      preferredVersion: { groupVersion, version: groupVersion.split('/')[1] },
    })),
  };
}

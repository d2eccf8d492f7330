import { isKubeError } from './kube-error.js';
import type { KubeObject } from './objects.js';
import type { RequestPath } from './request-path.js';
import { apiRoot } from './resources.js';
import type { Resource } from './resources.js';

const AGGREGATED =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;q=0.9' as const;

interface AggregatedList {
  kind: 'APIGroupDiscoveryList';
  items?: {
    metadata?: { name?: string };
    versions?: { version?: string; resources?: { resource?: string }[] }[];
  }[];
}
interface GroupList {
  kind: 'APIGroupList';
  groups?: { versions?: { groupVersion?: string }[] }[];
}
interface ResourceList {
  resources?: { name?: string }[];
}

/** Everything the API serves, as `batch/v1/jobs`; core kinds as `v1/pods`. No subresources. */
export async function discover(requests: RequestPath, signal?: AbortSignal): Promise<ReadonlySet<string>> {
  const get = <T>(path: string, accept?: string): Promise<T> =>
    requests.json<T>({ verb: 'get', resource: 'discovery', about: path, path, signal, ...(accept && { accept }) });
  const found = new Set<string>();
  const groupVersions = ['v1'];
  const groups = await get<AggregatedList | GroupList>('/apis', AGGREGATED);
  if (groups.kind === 'APIGroupDiscoveryList') addAggregated(found, groups);
  else
    for (const group of groups.groups ?? [])
      for (const { groupVersion } of group.versions ?? []) if (groupVersion) groupVersions.push(groupVersion);
  for (const groupVersion of groupVersions) {
    const list = await get<ResourceList>(apiRoot(groupVersion)).catch((error: unknown): ResourceList => {
      // A group whose own server is down is not served now; that must not hide all others.
      if (groupVersion !== 'v1' && isKubeError(error, 'not-found', 'server-error')) return {};
      throw error;
    });
    for (const { name } of list.resources ?? []) if (name && !name.includes('/')) found.add(`${groupVersion}/${name}`);
  }
  return found;
}

function addAggregated(found: Set<string>, list: AggregatedList): void {
  for (const { metadata, versions } of list.items ?? [])
    for (const { version, resources } of versions ?? [])
      for (const { resource } of resources ?? [])
        if (metadata?.name && version && resource) found.add(`${metadata.name}/${version}/${resource}`);
}

/** Whether one kind is served, with a single small request. */
export async function serves<T extends KubeObject>(
  requests: RequestPath,
  resource: Resource<T>,
  signal?: AbortSignal,
): Promise<boolean> {
  const path = apiRoot(resource.apiVersion);
  try {
    const list = await requests.json<ResourceList>({
      verb: 'get',
      resource: 'discovery',
      about: path,
      path,
      signal,
    });
    return (list.resources ?? []).some(({ name }) => name === resource.plural);
  } catch (error) {
    if (isKubeError(error, 'not-found')) return false;
    throw error;
  }
}

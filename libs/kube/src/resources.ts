import type {
  KubeObject,
  V1ConfigMap,
  V1Event,
  V1Job,
  V1Lease,
  V1LimitRange,
  V1Namespace,
  V1Node,
  V1PersistentVolumeClaim,
  V1Pod,
  V1ResourceQuota,
  V1ResourceSlice,
  V1RuntimeClass,
  V1Secret,
  V1Service,
  V1ServiceAccount,
} from './objects.js';

/** A kind as the API serves it. `T` is the shape of its objects. */
export interface Resource<T extends KubeObject> {
  /** `v1`, `batch/v1`, ... */
  readonly apiVersion: string;
  readonly kind: string;
  /** Its name in paths: lower case, plural. */
  readonly plural: string;
  readonly namespaced: boolean;
  /** For the compiler only; never set. */
  readonly shape?: T;
}

/** Declares a kind that is not built in, such as one of Kueue's. */
export function defineResource<T extends KubeObject>(resource: Omit<Resource<T>, 'shape'>): Resource<T> {
  return Object.freeze({ ...resource });
}

const namespaced = <T extends KubeObject>(apiVersion: string, kind: string, plural: string): Resource<T> =>
  defineResource<T>({ apiVersion, kind, plural, namespaced: true });
const clusterWide = <T extends KubeObject>(apiVersion: string, kind: string, plural: string): Resource<T> =>
  defineResource<T>({ apiVersion, kind, plural, namespaced: false });

export const JOBS = namespaced<V1Job>('batch/v1', 'Job', 'jobs');
export const PODS = namespaced<V1Pod>('v1', 'Pod', 'pods');
export const SERVICES = namespaced<V1Service>('v1', 'Service', 'services');
export const SECRETS = namespaced<V1Secret>('v1', 'Secret', 'secrets');
export const CONFIG_MAPS = namespaced<V1ConfigMap>('v1', 'ConfigMap', 'configmaps');
/** Core v1 events, which name their object in `involvedObject`. */
export const EVENTS = namespaced<V1Event>('v1', 'Event', 'events');
export const LEASES = namespaced<V1Lease>('coordination.k8s.io/v1', 'Lease', 'leases');
export const RESOURCE_QUOTAS = namespaced<V1ResourceQuota>('v1', 'ResourceQuota', 'resourcequotas');
export const LIMIT_RANGES = namespaced<V1LimitRange>('v1', 'LimitRange', 'limitranges');
export const PERSISTENT_VOLUME_CLAIMS = namespaced<V1PersistentVolumeClaim>(
  'v1',
  'PersistentVolumeClaim',
  'persistentvolumeclaims',
);
export const SERVICE_ACCOUNTS = namespaced<V1ServiceAccount>('v1', 'ServiceAccount', 'serviceaccounts');
export const NODES = clusterWide<V1Node>('v1', 'Node', 'nodes');
export const NAMESPACES = clusterWide<V1Namespace>('v1', 'Namespace', 'namespaces');
export const RUNTIME_CLASSES = clusterWide<V1RuntimeClass>('node.k8s.io/v1', 'RuntimeClass', 'runtimeclasses');
export const RESOURCE_SLICES = clusterWide<V1ResourceSlice>('resource.k8s.io/v1', 'ResourceSlice', 'resourceslices');

const SELF_SUBJECT_ACCESS_REVIEW = { apiVersion: 'authorization.k8s.io/v1', plural: 'selfsubjectaccessreviews' };
export const ACCESS_REVIEW_PATH = `/apis/${SELF_SUBJECT_ACCESS_REVIEW.apiVersion}/${SELF_SUBJECT_ACCESS_REVIEW.plural}`;

export interface ResourcePath {
  namespace?: string | undefined;
  name?: string | undefined;
  subresource?: string | undefined;
}

/** `/api/v1` or `/apis/<group>/<version>`. */
export const apiRoot = (apiVersion: string): string =>
  apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;

/** The path of a list, an object or a subresource. Names are escaped, so that none can point elsewhere. */
export function pathOf<T extends KubeObject>(resource: Resource<T>, at: ResourcePath = {}): string {
  const parts = [apiRoot(resource.apiVersion)];
  if (resource.namespaced && at.namespace !== undefined) parts.push('namespaces', segment(at.namespace));
  parts.push(resource.plural);
  if (at.name !== undefined) parts.push(segment(at.name));
  if (at.subresource !== undefined) parts.push(segment(at.subresource));
  return parts.join('/');
}

function segment(name: string): string {
  if (name === '' || name === '.' || name === '..') throw new TypeError(`"${name}" cannot be a name in Kubernetes`);
  return encodeURIComponent(name);
}

/** `namespace/name`, or `name` for what has no namespace. */
export const keyOf = (object: KubeObject): string =>
  object.metadata?.namespace
    ? `${object.metadata.namespace}/${object.metadata.name ?? ''}`
    : (object.metadata?.name ?? '');

/** Whether a value can be an object of the API: it must at least have a name. */
export function isNamed(value: unknown): value is KubeObject {
  const metadata: unknown = typeof value === 'object' && value !== null && 'metadata' in value ? value.metadata : null;
  return typeof metadata === 'object' && metadata !== null && 'name' in metadata && typeof metadata.name === 'string';
}

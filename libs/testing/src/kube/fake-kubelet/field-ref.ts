import type { Container, Pod } from '../objects.js';
import { parseQuantity } from './quantity.js';

/** What the kubelet knows besides the pod. */
export interface PodPlace {
  podIP: string;
  hostIP: string;
  /** Of the node: stands in for limits that a container does not have. */
  allocatable: Readonly<Record<string, string>>;
}

/** A field of the downward API. @throws Error for a field that it does not have. */
export function fieldRef({ metadata, spec }: Pod, { podIP, hostIP }: PodPlace, path: string): string {
  const subscript = /^metadata\.(annotations|labels)\['([^']+)'\]$/.exec(path);
  if (subscript) return metadata[subscript[1] as 'annotations' | 'labels']?.[subscript[2] ?? ''] ?? '';
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'metadata.labels': listOf(metadata.labels),
    'metadata.annotations': listOf(metadata.annotations),
    'spec.nodeName': spec.nodeName ?? '',
    'spec.serviceAccountName': spec.serviceAccountName ?? '',
    'status.podIP': podIP,
    'status.podIPs': podIP,
    'status.hostIP': hostIP,
    'status.hostIPs': hostIP,
  };
  const value = fields[path];
  if (value === undefined) throw new Error(`unsupported fieldPath: ${path}`);
  return value;
}

const listOf = (map: Readonly<Record<string, string>> = {}): string =>
  Object.entries(map)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');

/** A request or limit as a whole number of `divisor`, rounded up. */
export function resourceFieldRef(
  containers: readonly Container[],
  { allocatable }: PodPlace,
  ref: { resource: string; containerName?: string; divisor?: string },
  own?: Container,
): string {
  const container = containers.find(({ name }) => name === (ref.containerName ?? own?.name));
  const [kind, ...rest] = ref.resource.split('.');
  const resource = rest.join('.');
  const { limits = {}, requests = {} } = container?.resources ?? {};
  const found =
    kind === 'limits' ? (limits[resource] ?? allocatable[resource]) : (requests[resource] ?? limits[resource]);
  const divisor = ref.divisor === undefined || ref.divisor === '0' ? '1' : ref.divisor;
  return String(Math.ceil(parseQuantity(found ?? '0') / parseQuantity(divisor)));
}

import type { V1PodSpec } from '@luthier/kube';
import type { RunSpec } from '@luthier/contracts';
import type { ClusterProfile } from '../cluster-profile.js';

type Affinity = NonNullable<V1PodSpec['affinity']>;
type Toleration = NonNullable<V1PodSpec['tolerations']>[number];
interface NodeRule {
  key: string;
  operator: 'In' | 'NotIn' | 'Gt';
  values: string[];
}

interface DeviceLabels {
  product?: string;
  memory?: string;
  computeMajor?: string;
  sharing?: string;
}

/** How a vendor's feature discovery labels nodes. Memory is in MiB there. */
function labelsOfDevices({ deviceLabels, deviceResource = '' }: ClusterProfile): DeviceLabels {
  if (deviceLabels === 'none') return {};
  if (deviceLabels === 'amd') return { product: 'amd.com/gpu.product-name' };
  // Parts of a GPU have labels of their own; whatever else devices are called, they are the node's GPUs.
  const kind = deviceResource.startsWith('nvidia.com/mig-')
    ? deviceResource.replace(/\.shared$/, '')
    : 'nvidia.com/gpu';
  return {
    product: `${kind}.product`,
    memory: `${kind}.memory`,
    computeMajor: 'nvidia.com/gpu.compute.major',
    sharing: `${kind}.sharing-strategy`,
  };
}

/** Nodes that stop answering are waited for this long before their pods are told to go, unless they count as lost before. */
const NODE_SILENT_SECONDS = 120;
const HOSTNAME = 'kubernetes.io/hostname';

export const wantsDevices = (spec: RunSpec, profile: ClusterProfile): boolean =>
  profile.deviceResource !== undefined && spec.resources.devicesPerNode > 0;

/** Which nodes may take the pods: device memory, compute capability, sharing, product, and nodes to keep away from. */
export function affinityOf(
  spec: RunSpec,
  profile: ClusterProfile,
  avoidNodes: readonly string[],
): Affinity | undefined {
  const expressions: NodeRule[] = wantsDevices(spec, profile) ? deviceRules(spec, profile) : [];
  if (avoidNodes.length > 0) expressions.push({ key: HOSTNAME, operator: 'NotIn', values: [...avoidNodes] });
  if (expressions.length === 0) return undefined;
  return {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: expressions }] },
    },
  };
}

function deviceRules({ resources }: RunSpec, profile: ClusterProfile): NodeRule[] {
  const labels = labelsOfDevices(profile);
  const rules: NodeRule[] = [];
  const atLeast = (key: string | undefined, least: number): void => {
    // `Gt` is strict.
    if (key !== undefined && least > 0) rules.push({ key, operator: 'Gt', values: [String(least - 1)] });
  };
  atLeast(labels.memory, resources.deviceMemoryMib);
  atLeast(labels.computeMajor, profile.computeMajorAtLeast ?? 0);
  const products = resources.deviceProducts ?? profile.deviceProducts;
  if (labels.product && products.length > 0) {
    rules.push({ key: labels.product, operator: 'In', values: [...products] });
  }
  // Memory of a shared device is not isolated, and several shares may be one device.
  const alone = !profile.sharedDevices || resources.devicesPerNode > 1 || resources.nodes > 1;
  if (labels.sharing && alone) rules.push({ key: labels.sharing, operator: 'NotIn', values: ['time-slicing', 'mps'] });
  return rules;
}

export function tolerationsOf(spec: RunSpec, profile: ClusterProfile): Toleration[] {
  const device = wantsDevices(spec, profile) ? profile.deviceResource?.split('/')[0] : undefined;
  return [
    ...(device === undefined ? [] : [{ key: `${device}/gpu`, operator: 'Exists', effect: 'NoSchedule' }]),
    ...['unreachable', 'not-ready'].map((key) => ({
      key: `node.kubernetes.io/${key}`,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: Math.min(NODE_SILENT_SECONDS, profile.nodeLostSeconds),
    })),
    ...profile.tolerations,
  ];
}

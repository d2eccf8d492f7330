import type { FakeKind } from './store.js';

const kind = (apiVersion: string, name: string, plural: string, more: Partial<FakeKind> = {}): FakeKind => ({
  apiVersion,
  kind: name,
  plural,
  namespaced: true,
  ...more,
});
const status = { hasStatus: true };
const clusterWide = { namespaced: false };

/** Served from the beginning; others are installed by the test. */
export const BUILT_IN: readonly FakeKind[] = [
  kind('v1', 'Namespace', 'namespaces', { ...clusterWide, ...status }),
  kind('v1', 'Node', 'nodes', { ...clusterWide, ...status }),
  kind('v1', 'Pod', 'pods', status),
  kind('v1', 'Service', 'services', status),
  kind('v1', 'Secret', 'secrets'),
  kind('v1', 'ConfigMap', 'configmaps'),
  kind('v1', 'Event', 'events'),
  kind('v1', 'ServiceAccount', 'serviceaccounts'),
  kind('v1', 'LimitRange', 'limitranges'),
  kind('v1', 'ResourceQuota', 'resourcequotas', status),
  kind('v1', 'PersistentVolumeClaim', 'persistentvolumeclaims', status),
  kind('batch/v1', 'Job', 'jobs', status),
  kind('coordination.k8s.io/v1', 'Lease', 'leases'),
  kind('node.k8s.io/v1', 'RuntimeClass', 'runtimeclasses', clusterWide),
  kind('resource.k8s.io/v1', 'ResourceSlice', 'resourceslices', clusterWide),
];

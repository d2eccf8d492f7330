import { defineResource } from '@luthier/kube';
import type { KubeObject } from '@luthier/kube';
import type { ClusterQueueObject, LocalQueueObject, ResourceClaimObject } from './kube-objects.js';

/** Kinds that not every cluster has. */
export type ResourceClaim = KubeObject & Pick<ResourceClaimObject, 'status'>;
export type LocalQueue = KubeObject & Pick<LocalQueueObject, 'spec' | 'status'>;
export type ClusterQueue = KubeObject & Pick<ClusterQueueObject, 'spec' | 'status'>;

export const RESOURCE_CLAIMS = defineResource<ResourceClaim>({
  ...{ apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaim', plural: 'resourceclaims', namespaced: true },
});
export const LOCAL_QUEUES = defineResource<LocalQueue>({
  ...{ apiVersion: 'kueue.x-k8s.io/v1beta2', kind: 'LocalQueue', plural: 'localqueues', namespaced: true },
});
export const CLUSTER_QUEUES = defineResource<ClusterQueue>({
  ...{ apiVersion: 'kueue.x-k8s.io/v1beta2', kind: 'ClusterQueue', plural: 'clusterqueues', namespaced: false },
});

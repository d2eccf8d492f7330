export type { GivenCluster } from './cluster.given.js';
export type { KubeconfigSource } from './cluster.kubeconfig.js';
export { KubeClient } from './kube-client.js';
export type {
  AccessQuestion,
  DeleteOptions,
  KubeClientOptions,
  ListOptions,
  Page,
  Selection,
  WatchOptions,
} from './client-options.js';
export { KubeError, isKubeError } from './kube-error.js';
export type { KubeErrorCause, KubeErrorKind } from './kube-error.js';
export type { KubeLogger } from './kube-logger.js';
export { KubeMetrics } from './kube-metrics.js';
export { LeaderElection } from './leader-election.js';
export type { LeaderElectionOptions } from './leader-election.js';
export type { ChangeListener } from './object-cache.js';
export type * from './objects.js';
export { LogResume, sinceTimeOf } from './log-resume.js';
export type { LogPosition } from './log-resume.js';
export type { ReadLogOptions } from './pod-logs.js';
export { Reflector } from './reflector.js';
export type { ReflectorOptions } from './reflector.js';
export {
  CONFIG_MAPS,
  EVENTS,
  JOBS,
  LEASES,
  LIMIT_RANGES,
  NAMESPACES,
  NODES,
  PERSISTENT_VOLUME_CLAIMS,
  PODS,
  RESOURCE_QUOTAS,
  RESOURCE_SLICES,
  RUNTIME_CLASSES,
  SECRETS,
  SERVICES,
  SERVICE_ACCOUNTS,
  defineResource,
  keyOf,
} from './resources.js';
export type { Resource } from './resources.js';
export type { WatchEvent } from './watch.js';

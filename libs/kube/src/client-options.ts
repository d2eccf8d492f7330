import type { GivenCluster } from './cluster.given.js';
import type { KubeconfigSource } from './cluster.kubeconfig.js';
import type { KubeMetrics } from './kube-metrics.js';

export interface KubeClientOptions {
  /** `in-cluster`, a kubeconfig file, or address and token as values. */
  cluster: KubeconfigSource | GivenCluster;
  /** Named in every write; server-side apply knows us by it. */
  fieldManager: string;
  /** For one try of one request. @default 15000 */
  timeoutMs?: number;
  /** Requests in a second, 0 for no limit. @default 50 */
  qps?: number;
  /** Requests at once after a rest. @default 100 */
  burst?: number;
  /** Tries of one request, the first one counted. @default 4 */
  maxTries?: number;
  /** Between tries. @default 250 ms to 5 s */
  backoff?: { baseMs: number; maxMs: number };
  /** @default 64 MiB */
  maxAnswerBytes?: number;
  metrics?: KubeMetrics;
}

export interface Selection {
  /** All namespaces when left out. */
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  signal?: AbortSignal | undefined;
}

export interface ListOptions extends Selection {
  limit?: number;
  continue?: string;
  resourceVersion?: string;
}

export interface Page<T> {
  items: T[];
  resourceVersion: string;
  /** For the next page; undefined on the last one. */
  continue?: string;
}

export interface WatchOptions extends Selection {
  /** From a list: only what came after it is told. */
  resourceVersion: string;
  /** @default 120 s */
  silenceMs?: number;
  /** After how long the server ends the watch. @default 240 to 300 s, so that watches do not all come back at once */
  lastsSeconds?: number;
  /** Called when the API has accepted the watch, before any event. */
  onOpen?: () => void;
}

export interface DeleteOptions {
  namespace?: string | undefined;
  /** Only the object with this uid; another one of the same name is a `conflict`. */
  uid?: string | undefined;
  propagation?: 'Foreground' | 'Background' | 'Orphan';
  graceSeconds?: number;
}

export interface AccessQuestion {
  verb: string;
  /** Empty for the core group. */
  group: string;
  resource: string;
  subresource?: string;
  namespace?: string;
}

import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { dirname, resolve } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { Cluster } from './cluster.js';
import type { ClusterAccess } from './cluster.js';
import { KubeError, REASONS } from './kube-error.js';

/** `in-cluster` uses the service account of the pod that we run in; a file is a kubeconfig. */
export type KubeconfigSource = 'in-cluster' | { file: string; context?: string };

/**
 * Reads a kubeconfig or the pod's service account with client-node: certificates, tokens that rotate, exec plugins,
 * OIDC, proxies. It is loaded at the first request, because importing client-node takes most of a second and 90 MB,
 * which an installation without Kubernetes should not pay.
 */
export class ClusterOfKubeconfig extends Cluster {
  private loading: Promise<KubeConfig> | undefined;

  constructor(private readonly source: KubeconfigSource) {
    super();
  }

  async access(): Promise<ClusterAccess> {
    try {
      const config = await (this.loading ??= load(this.source));
      const cluster = config.getCurrentCluster();
      if (!cluster) throw new Error('it names no cluster; set its current-context');
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      // Agents of client-node keep no connection open; only behind a proxy they are needed.
      if (!cluster.proxyUrl) delete options.agent;
      trimToken(options);
      return { server: new URL(cluster.server), options };
    } catch (cause) {
      this.loading = undefined;
      const where = this.source === 'in-cluster' ? "the pod's service account" : `the kubeconfig ${this.source.file}`;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new KubeError('unauthorized', `${where} cannot be used: ${why}`, { reason: REASONS.credentials, cause });
    }
  }

  forget(): boolean {
    this.loading = undefined;
    return true;
  }
}

/** A token file may end with a line break, which no header may hold. */
function trimToken(options: RequestOptions): void {
  const headers = options.headers as Record<string, unknown> | undefined;
  const bearer = headers?.['Authorization'];
  if (typeof bearer === 'string') options.headers = { ...options.headers, Authorization: bearer.trim() };
}

async function load(source: KubeconfigSource): Promise<KubeConfig> {
  const { KubeConfig, loadYaml } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (source === 'in-cluster') {
    config.loadFromCluster();
  } else {
    const text = await readFile(source.file, 'utf8');
    config.loadFromString(text);
    config.makePathsAbsolute(dirname(source.file));
    if (source.context !== undefined) config.setCurrentContext(source.context);
    useTokenFiles(config, loadYaml(text), dirname(source.file));
  }
  // Without TLS there is nothing to verify; client-node refuses such an address unless told so.
  for (const cluster of config.clusters) {
    if (cluster.server.startsWith('http:')) Object.assign(cluster, { skipTLSVerify: true });
  }
  return config;
}

/** client-node 2.0.1 does not know the kubeconfig's field `tokenFile`; its reader of rotating tokens does the work. */
function useTokenFiles(config: KubeConfig, file: unknown, folder: string): void {
  const { users } = (file ?? {}) as { users?: { name?: unknown; user?: { tokenFile?: unknown } | null }[] };
  for (const { name, user } of users ?? []) {
    if (typeof user?.tokenFile !== 'string') continue;
    const known = config.users.find((one) => one.name === name);
    const authProvider = { name: 'tokenFile', config: { tokenFile: resolve(folder, user.tokenFile) } };
    if (known) Object.assign(known, { authProvider, token: undefined });
  }
}

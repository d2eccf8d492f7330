import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { endProcess } from '@luthier/local-servers';
import { ensureCoscheduling } from './binaries.js';
import { adminKubeconfigOf, startServing } from './control-plane-servers.js';
import type { Files } from './control-plane-servers.js';
import { applyDefinitions } from './custom-resources.js';
import type { KubeApi } from './kube-api.js';

/** What pods that are to be placed by it name in `schedulerName`. */
export const COSCHEDULER = 'coscheduler';

/** A second scheduler on a cluster, for pods that start together or not at all. */
export interface Coscheduling {
  stop(): Promise<void>;
}

/**
 * The scheduler of Kubernetes with the coscheduling plugin and its custom resources; the usual one goes on beside it. It
 * ends with this process.
 * @throws Error when it was not built.
 */
export async function startCoscheduling(api: KubeApi, files: Files): Promise<Coscheduling> {
  const programs = await ensureCoscheduling({ build: false });
  if (programs.dir === undefined) throw new Error(`coscheduling needs ${programs.missing}`);
  await applyDefinitions(api, join(programs.dir, 'crds'));
  const dir = join(files.dir, COSCHEDULER);
  await mkdir(dir, { recursive: true });
  const config = join(dir, 'config.yaml');
  await writeFile(config, JSON.stringify(configuration(files)));
  const server = await startServing(files, COSCHEDULER, join(programs.dir, 'coscheduling'), [`--config=${config}`]);
  return { stop: () => endProcess(server.identity, 'SIGKILL', 0) };
}

const configuration = (files: Files): object => {
  const { kubeApiQps: qps } = files.settings;
  const enabled = [{ name: 'Coscheduling' }];
  return {
    ...{ apiVersion: 'kubescheduler.config.k8s.io/v1', kind: 'KubeSchedulerConfiguration' },
    leaderElection: { leaderElect: false },
    clientConnection: { kubeconfig: adminKubeconfigOf(files), qps, burst: qps * 2 },
    profiles: [
      {
        schedulerName: COSCHEDULER,
        plugins: { multiPoint: { enabled }, queueSort: { enabled, disabled: [{ name: '*' }] } },
      },
    ],
  };
};

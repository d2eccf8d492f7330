import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runServer } from '@luthier/local-servers';
import { steadyPort } from '../steady-port.js';
import { tempDir } from '../temp-dir.js';
import { ensureJobSet, ensureKubeflowTrainer } from './binaries.js';
import type { Programs } from './binaries.js';
import { applyDefinitions, removeDefinitions } from './custom-resources.js';
import type { KubeApi } from './kube-api.js';

/** Kinds of custom resources with the program that makes something of them. */
export interface Controller {
  /** What it has logged, for messages. */
  log(): Promise<string>;
  /** As an administrator does who removes it: the program ends, its kinds go with all objects. */
  stop(): Promise<void>;
}

export interface ControllerOptions {
  kubeconfig: string;
  certFile: string;
  keyFile: string;
}

/** Where controller-runtime looks for the certificate of webhooks, below the folder for temporary files. */
const CERTIFICATES = 'k8s-webhook-server/serving-certs';

/** JobSet 0.12, without webhooks. @throws Error when it was not built. */
export async function startJobSet(api: KubeApi, options: ControllerOptions): Promise<Controller> {
  return startController(api, await ensureJobSet({ build: false }), 'jobset', options, (ports) => ({
    apiVersion: 'config.jobset.x-k8s.io/v1alpha1',
    ...common(ports),
    internalCertManagement: { enable: false },
  }));
}

/** Kubeflow Trainer 2.3, without webhooks. It needs JobSet. @throws Error when it was not built. */
export async function startKubeflowTrainer(api: KubeApi, options: ControllerOptions): Promise<Controller> {
  return startController(api, await ensureKubeflowTrainer({ build: false }), 'trainer', options, (ports) => ({
    apiVersion: 'config.trainer.kubeflow.org/v1alpha1',
    ...common(ports),
    certManagement: { enable: false },
  }));
}

interface Ports {
  health: number;
  webhook: number;
}

const common = ({ health, webhook }: Ports): object => ({
  kind: 'Configuration',
  health: { healthProbeBindAddress: `127.0.0.1:${health}` },
  metrics: { bindAddress: '0' },
  webhook: { host: '127.0.0.1', port: webhook },
  leaderElection: { leaderElect: false },
});

async function startController(
  api: KubeApi,
  programs: Programs,
  name: string,
  { kubeconfig, certFile, keyFile }: ControllerOptions,
  configurationOf: (ports: Ports) => object,
): Promise<Controller> {
  if (programs.dir === undefined) throw new Error(`${name} needs ${programs.missing}`);
  const file = join(programs.dir, name);
  const definitions = await applyDefinitions(api, join(programs.dir, 'crds'));
  const dir = await tempDir(name);
  await mkdir(join(dir, CERTIFICATES), { recursive: true });
  await copyFile(certFile, join(dir, CERTIFICATES, 'tls.crt'));
  await copyFile(keyFile, join(dir, CERTIFICATES, 'tls.key'));
  const config = join(dir, 'config.yaml');
  const logFile = join(dir, `${name}.log`);
  const server = await runServer({
    ...{ name, dir, wantedPort: 0, settings: {}, stopSignal: 'SIGKILL', stopGraceMs: 10_000, readyTimeoutMs: 60_000 },
    ...{ endWithParent: true, removeDirs: [dir], log: () => undefined },
    command: async (health) => {
      await writeFile(config, JSON.stringify(configurationOf({ health, webhook: await steadyPort() })));
      const env = { KUBECONFIG: kubeconfig, TMPDIR: dir, PATH: '/usr/bin:/bin' };
      return { file, args: [`--config=${config}`], cwd: dir, logFile, env };
    },
    isReady: async (health) =>
      (await fetch(`http://127.0.0.1:${health}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined))
        ?.ok === true,
  });
  return {
    log: () => readFile(logFile, 'utf8'),
    stop: async () => {
      await server.stop();
      await removeDefinitions(api, definitions);
    },
  };
}

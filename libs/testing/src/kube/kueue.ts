import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { steadyPort } from '../steady-port.js';
import { tempDir } from '../temp-dir.js';
import { waitFor } from '../wait-for.js';
import { ensureKueue } from './binaries.js';
import { applyDefinitions } from './custom-resources.js';
import { MountNamespace } from './fake-kubelet/mount-namespace.js';
import { ProcessContainer } from './fake-kubelet/process-container.js';
import { ifFound } from './kube-api.js';
import type { KubeApi } from './kube-api.js';
import type { KubeObject } from './objects.js';

/** Fixed in the program. */
const METRICS_CERTIFICATES = '/etc/kueue/metrics/certs';
const ADMISSION = 'admissionregistration.k8s.io/v1';
const WEBHOOKS = 'kueue-train-jobs';

export interface Kueue {
  /** What it has logged, for messages. */
  log(): Promise<string>;
  stop(): Promise<void>;
}

/**
 * Kueue 0.19 with its custom resources, for Jobs, JobSets and TrainJobs. Of its webhooks only those of TrainJobs are called,
 * which it cannot do without: the others have to be created suspended. It ends with this process.
 * @throws Error when it was not built.
 */
export async function startKueue(
  api: KubeApi,
  options: { kubeconfig: string; certFile: string; keyFile: string },
): Promise<Kueue> {
  const programs = await ensureKueue({ build: false });
  if (programs.dir === undefined) throw new Error(`Kueue needs ${programs.missing}`);
  await applyDefinitions(api, join(programs.dir, 'crds'));
  const dir = await tempDir('kueue');
  const certificates = join(dir, 'certificates');
  await mkdir(certificates);
  await copyFile(options.certFile, join(certificates, 'tls.crt'));
  await copyFile(options.keyFile, join(certificates, 'tls.key'));
  const healthPort = await steadyPort();
  const webhookPort = await steadyPort();
  const config = join(dir, 'config.yaml');
  await writeFile(config, JSON.stringify(configuration(certificates, healthPort, webhookPort)));
  const namespace = await MountNamespace.create(join(dir, 'place'), {
    hostname: 'kueue',
    workingDir: '/',
    mounts: [{ at: METRICS_CERTIFICATES, from: certificates }],
  });
  const running = new ProcessContainer({
    namespace,
    command: [join(programs.dir, 'kueue'), `--config=${config}`, '--feature-gates=VisibilityOnDemand=false'],
    environment: { KUBECONFIG: options.kubeconfig, PATH: '/usr/bin:/bin' },
    messageFile: join(dir, 'none'),
    messageFromLog: true,
  });
  const log = (): Promise<string> => Promise.resolve(running.log.tail());
  await untilReady(running, healthPort);
  const ca = await readFile(options.certFile);
  await api.apply(webhook('Mutating', ['CREATE'], webhookPort, ca));
  await api.apply(webhook('Validating', ['CREATE', 'UPDATE'], webhookPort, ca));
  return {
    log,
    stop: async () => {
      for (const plural of ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'])
        await ifFound(api.delete(`/apis/${ADMISSION}/${plural}/${WEBHOOKS}`));
      running.kill();
      await running.ended;
    },
  };
}

const configuration = (certDir: string, healthPort: number, webhookPort: number): object => ({
  apiVersion: 'config.kueue.x-k8s.io/v1beta2',
  kind: 'Configuration',
  health: { healthProbeBindAddress: `127.0.0.1:${healthPort}` },
  metrics: { bindAddress: '0' },
  webhook: { host: '127.0.0.1', port: webhookPort, certDir },
  leaderElection: { leaderElect: false },
  internalCertManagement: { enable: false },
  integrations: { frameworks: ['batch/job', 'jobset.x-k8s.io/jobset', 'trainer.kubeflow.org/trainjob'] },
});

/** As Kueue's own manifests have it, at the address where it listens here. */
const webhook = (
  type: 'Mutating' | 'Validating',
  operations: readonly string[],
  port: number,
  ca: Buffer,
): KubeObject & { webhooks: object[] } => {
  const path = `${type === 'Mutating' ? 'mutate' : 'validate'}-trainer-kubeflow-org-v1alpha1-trainjob`;
  return {
    ...{ apiVersion: ADMISSION, kind: `${type}WebhookConfiguration`, metadata: { name: WEBHOOKS } },
    webhooks: [
      {
        name: 'train-jobs.kueue.x-k8s.io',
        clientConfig: { url: `https://127.0.0.1:${port}/${path}`, caBundle: ca.toString('base64') },
        rules: [
          { apiGroups: ['trainer.kubeflow.org'], apiVersions: ['v1alpha1'], resources: ['trainjobs'], operations },
        ],
        ...{ failurePolicy: 'Fail', sideEffects: 'None', admissionReviewVersions: ['v1'] },
      },
    ],
  };
};

async function untilReady(running: ProcessContainer, port: number): Promise<void> {
  let ended = false;
  void running.ended.then(() => (ended = true));
  const answers = async (): Promise<boolean> =>
    ended || (await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2_000) })).ok;
  await waitFor(answers, { intervalMs: 50, what: 'Kueue to be ready' });
  if (ended) throw new Error(`Kueue ended:\n${running.log.tail()}`);
}

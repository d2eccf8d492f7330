import { createHmac, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { endProcess, identityOf, withFileLock } from '@luthier/local-servers';
import { tempDir } from '../temp-dir.js';
import { waitFor } from '../wait-for.js';
import { ensureKubernetes } from './binaries.js';
import { ADMIN_TOKEN, adminKubeconfigOf, caFileOf, kubeconfig, kubeletKeyFileOf } from './control-plane-servers.js';
import type { ControlPlaneSettings, Files } from './control-plane-servers.js';
import { startCoscheduling } from './coscheduling.js';
import type { Coscheduling } from './coscheduling.js';
import { FakeKubelet } from './fake-kubelet/fake-kubelet.js';
import type { FakeKubeletOptions } from './fake-kubelet/fake-kubelet.js';
import { startJobSet, startKubeflowTrainer } from './controllers.js';
import type { Controller } from './controllers.js';
import { startKueue } from './kueue.js';
import type { Kueue } from './kueue.js';
import { KubeApi, ifFound } from './kube-api.js';
import type { KubeObject } from './objects.js';
import { PROGRAMS, ensureApiServer, readNote, restartControllerManager, sharedServers } from './shared-servers.js';
import type { ProgramName, SharedServers } from './shared-servers.js';

export interface ControlPlaneOptions extends Partial<ControlPlaneSettings> {
  log?: (message: string) => void;
}

export interface ControlPlane {
  /** `https://127.0.0.1:<port>`; the same after a restart. */
  readonly server: string;
  /** PEM file to verify the API server with. */
  readonly caFile: string;
  /** File; the user may do everything. */
  readonly kubeconfig: string;
  readonly adminToken: string;
  /** Calls as administrator. */
  readonly api: KubeApi;
  /** The pid of each program, for faults that the methods below do not know. */
  pids(): Promise<Readonly<Record<ProgramName, number>>>;
  /** A user that RBAC knows nothing about yet. Several calls with the same arguments give the same user. */
  tokenFor(user: string, groups?: readonly string[]): string;
  /** A real token of a service account, by TokenRequest; makes the account when it is not there. Valid an hour. */
  serviceAccountToken(namespace: string, name: string): Promise<string>;
  /** A kubeconfig file for a token. */
  kubeconfigFor(token: string): Promise<string>;
  /** Server-side apply of objects, or of YAML with any number of documents. */
  apply(...objects: readonly (string | KubeObject)[]): Promise<KubeObject[]>;
  /** A namespace of one's own, with its default service account. */
  createNamespace(labels?: Readonly<Record<string, string>>): Promise<string>;
  /** A local folder as the volume of a claim that is made by somebody else, such as a StatefulSet. */
  createVolume(claim: VolumeOfClaim): Promise<void>;
  /** A bound claim on a local folder, so that pods with it can be scheduled. */
  createVolumeClaim(claim: VolumeOfClaim): Promise<void>;
  /** Forgets history: whoever goes on watching from an older version is answered 410. Restarts the API server. */
  forgetHistory(): Promise<void>;
  /** kill -9. What it knows stays in etcd. */
  stopApiServer(): Promise<void>;
  /** On the same port, with the same state; about 3 s. */
  startApiServer(): Promise<void>;
  /** Fake kubelets that end with `stop()` and whose logs can be read. */
  startKubelet(options: Omit<FakeKubeletOptions, 'api' | 'certificate' | 'dir'>): Promise<FakeKubelet>;
  /** Kueue on this cluster, until `stop()`; ask `canRunKueue()` first. Takes Jobs that are created suspended. */
  startKueue(): Promise<Kueue>;
  /** The scheduler `COSCHEDULER` on this cluster, until `stop()`; ask `canRunCoscheduling()` first. */
  startCoscheduling(): Promise<Coscheduling>;
  /** The API server's own, which `caFile` verifies at 127.0.0.1: for servers that it is to call, such as webhooks. */
  certificate(): Promise<{ cert: string; key: string }>;
  /** JobSet on this cluster; ask `canRunJobSet()` first. Its `stop()` removes its kind with all objects. */
  startJobSet(): Promise<Controller>;
  /** Kubeflow Trainer, which needs JobSet besides; ask `canRunKubeflowTrainer()` first. Its `stop()` is as JobSet's. */
  startKubeflowTrainer(): Promise<Controller>;
  /** Removes the namespaces made here and ends the kubelets. The servers stay for the next test file of this process and end with it. */
  stop(): Promise<void>;
}

interface VolumeOfClaim {
  /** Of the claim. */
  namespace: string;
  name: string;
  folder: string;
  /** At least what the claim asks for. @default 10Gi */
  storage?: string;
}

const STORAGE = '10Gi';
const volumeName = (namespace: string, claim: string): string => `${namespace}-${claim}`;

const DEFAULTS: ControlPlaneSettings = {
  nodeMonitorGraceMs: 8_000,
  kubeApiQps: 500,
  featureGates: {},
  runtimeConfig: {},
};

/**
 * A real API server, controller manager, scheduler and etcd: one of each for a test process and its settings, ready in
 * about 6 s, 0.7 GB. They end, and their files go, when the process ends, even by kill -9.
 * @throws Error when the programs are not there and cannot be built.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const { log, ...chosen } = options;
  const programs = await ensureKubernetes(log && { log });
  if (programs.dir === undefined) throw new Error(`the control plane needs ${programs.missing}`);
  const settings: ControlPlaneSettings = { ...DEFAULTS, ...chosen };
  const self = await identityOf(process.pid);
  const began = (self?.startTime ?? '').split(':').at(-1)?.replace(/\W/g, '');
  const kind = createHmac('sha256', programs.dir).update(JSON.stringify(settings)).digest('hex').slice(0, 6);
  const files: Files = {
    dir: join(tmpdir(), `luthier-kube-${process.pid}-${began}-${kind}`),
    programs: programs.dir,
    settings,
  };
  const shared = await withFileLock(`${files.dir}.lock`, 180_000, () => sharedServers(files));
  return connect(shared);
}

async function connect(shared: SharedServers): Promise<ControlPlane> {
  const { files, ports, secret } = shared;
  const caFile = caFileOf(files);
  const server = `https://127.0.0.1:${ports['kube-apiserver']}`;
  const api = new KubeApi(server, ADMIN_TOKEN, await readFile(caFile, 'utf8'));
  const namespaces: string[] = [];
  const volumes: string[] = [];
  const started: { stop(): Promise<void> }[] = [];
  const stopApiServer = async (): Promise<void> =>
    endProcess((await readNote(files)).servers['kube-apiserver'], 'SIGKILL', 0);
  const restartApiServer = async (): Promise<void> => ensureApiServer(await readNote(files));
  const knownController = async (starting: Promise<Controller>): Promise<Controller> => {
    const controller = await starting;
    await restartControllerManager(files);
    return controller;
  };
  const certificate = async (): Promise<{ cert: string; key: string }> => ({
    cert: await readFile(caFile, 'utf8'),
    key: await readFile(kubeletKeyFileOf(files), 'utf8'),
  });

  const asAdministrator = {
    kubeconfig: adminKubeconfigOf(files),
    certFile: caFile,
    keyFile: kubeletKeyFileOf(files),
  };

  return {
    server,
    caFile,
    kubeconfig: adminKubeconfigOf(files),
    adminToken: ADMIN_TOKEN,
    api,
    pids: async () => {
      const { servers } = await readNote(files);
      return Object.fromEntries(PROGRAMS.map((name) => [name, servers[name].pid])) as Record<ProgramName, number>;
    },
    tokenFor: (user, groups = []) => userToken(secret, user, groups),
    serviceAccountToken: (namespace, name) => serviceAccountToken(api, namespace, name),
    kubeconfigFor: async (token) => {
      const file = join(files.dir, `${randomBytes(6).toString('hex')}.kubeconfig`);
      await writeFile(file, kubeconfig(server, { caFile, token }), { mode: 0o600 });
      return file;
    },
    apply: async (...objects) => {
      const applied: KubeObject[] = [];
      for (const object of objects.flatMap(objectsOf)) applied.push(await api.apply(object));
      return applied;
    },
    createNamespace: async (labels = {}) => {
      const name = `t-${randomBytes(5).toString('hex')}`;
      await api.post('/api/v1/namespaces', { metadata: { name, labels } });
      namespaces.push(name);
      // Until it is there, pods are refused.
      await waitFor(() => ifFound(api.get(`/api/v1/namespaces/${name}/serviceaccounts/default`)), {
        what: `the default service account of ${name}`,
      });
      return name;
    },
    createVolume: async (claim) => {
      volumes.push(await createVolume(api, claim));
    },
    createVolumeClaim: async (claim) => {
      volumes.push(await createVolume(api, claim));
      await createVolumeClaim(api, claim);
    },
    forgetHistory: async () => {
      await compact(ports.etcd);
      await stopApiServer();
      await restartApiServer();
    },
    stopApiServer,
    startApiServer: restartApiServer,
    startKubelet: async (options) => {
      // The API server does not verify kubelets here, so its own certificate will do.
      const kubelet = await FakeKubelet.start({
        ...{ ...options, api, certificate: await certificate(), dir: await tempDir('pods') },
      });
      started.push(kubelet);
      return kubelet;
    },
    startKueue: async () => {
      const kueue = await startKueue(api, asAdministrator);
      started.push(kueue);
      return kueue;
    },
    startCoscheduling: async () => {
      const scheduler = await startCoscheduling(api, files);
      started.push(scheduler);
      return scheduler;
    },
    startJobSet: () => knownController(startJobSet(api, asAdministrator)),
    startKubeflowTrainer: () => knownController(startKubeflowTrainer(api, asAdministrator)),
    certificate,
    stop: async () => {
      await restartApiServer();
      const at = '?gracePeriodSeconds=0&propagationPolicy=Background';
      for (const namespace of namespaces.splice(0)) {
        // Whoever would make new pods goes first.
        await ifFound(api.delete(`/apis/batch/v1/namespaces/${namespace}/jobs${at}`));
        await ifFound(api.delete(`/apis/apps/v1/namespaces/${namespace}/deployments${at}`));
        await ifFound(api.delete(`/api/v1/namespaces/${namespace}`));
        await ifFound(api.delete(`/api/v1/namespaces/${namespace}/pods${at}`));
      }
      for (const volume of volumes.splice(0)) await ifFound(api.delete(`/api/v1/persistentvolumes/${volume}`));
      for (const one of started.splice(0)) await one.stop();
      api.close();
    },
  };
}

const objectsOf = (given: string | KubeObject): KubeObject[] =>
  typeof given === 'string'
    ? parseAllDocuments(given)
        .map((document) => document.toJS() as KubeObject | null)
        .filter((object) => object !== null)
    : [given];

function userToken(secret: string, user: string, groups: readonly string[]): string {
  const who = Buffer.from(JSON.stringify({ username: user, uid: user, groups })).toString('base64url');
  return `user.${who}.${createHmac('sha256', secret).update(who).digest('base64url')}`;
}

async function serviceAccountToken(api: KubeApi, namespace: string, name: string): Promise<string> {
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await api.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } });
  const { status } = await api.post<{ status: { token: string } }>(`${accounts}/${name}/token`, {
    spec: { expirationSeconds: 3_600 },
  });
  return status.token;
}

/** @returns its name. */
async function createVolume(
  api: KubeApi,
  { namespace, name, folder, storage = STORAGE }: VolumeOfClaim,
): Promise<string> {
  const volume = volumeName(namespace, name);
  await api.post('/api/v1/persistentvolumes', {
    metadata: { name: volume },
    spec: {
      capacity: { storage },
      accessModes: ['ReadWriteMany', 'ReadWriteOnce'],
      storageClassName: '',
      hostPath: { path: folder },
      claimRef: { namespace, name },
    },
  });
  return volume;
}

async function createVolumeClaim(api: KubeApi, { namespace, name, storage = STORAGE }: VolumeOfClaim): Promise<void> {
  const claims = `/api/v1/namespaces/${namespace}/persistentvolumeclaims`;
  await api.post(claims, {
    metadata: { name },
    spec: {
      accessModes: ['ReadWriteMany'],
      storageClassName: '',
      volumeName: volumeName(namespace, name),
      resources: { requests: { storage } },
    },
  });
  const phase = async (): Promise<boolean> =>
    (await api.get<{ status?: { phase?: string } }>(`${claims}/${name}`)).status?.phase === 'Bound';
  await waitFor(phase, { what: `the claim ${name} to be bound` });
}

/** Drops every version before the current one. */
async function compact(etcdPort: number): Promise<void> {
  const ask = async (path: string, body: unknown): Promise<{ header?: { revision?: string } }> => {
    const answer = await fetch(`http://127.0.0.1:${etcdPort}/v3/kv/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    if (!answer.ok) throw new Error(`etcd answered ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as { header?: { revision?: string } };
  };
  const { header } = await ask('range', { key: Buffer.from('\0').toString('base64') });
  await ask('compaction', { revision: header?.revision, physical: true });
}

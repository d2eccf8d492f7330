import { readFile, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { join } from 'node:path';
import { createConnection } from 'node:net';
import { fileURLToPath } from 'node:url';
import { freePort, runServer } from '@luthier/local-servers';
import type { ServerKind, ServerProcess } from '@luthier/local-servers';
import { steadyPort } from '../steady-port.js';
import { waitFor } from '../wait-for.js';

export interface ControlPlaneSettings {
  /** Of the nodes: how long one may be silent until it is NotReady. */
  nodeMonitorGraceMs: number;
  /** Requests a second of controller manager and scheduler. */
  kubeApiQps: number;
  /** Of all three programs. */
  featureGates: Readonly<Record<string, boolean>>;
  /** Of the API server: `{ 'scheduling.k8s.io/v1alpha2': true }` */
  runtimeConfig: Readonly<Record<string, boolean>>;
}

/** Collecting garbage as seldom as this saves the API server a fifth of its work, for 190 MiB (519 to 707). */
const COLLECTING = { GOGC: '400', GOMEMLIMIT: '2GiB' };

/** Where everything of one control plane lies. */
export interface Files {
  dir: string;
  programs: string;
  settings: ControlPlaneSettings;
}

export const ADMIN_TOKEN = 'admin-token';
export const caFileOf = ({ dir }: Files): string => join(dir, 'certs', 'apiserver.crt');
export const adminKubeconfigOf = ({ dir }: Files): string => join(dir, 'admin.kubeconfig');
export const kubeletKeyFileOf = ({ dir }: Files): string => join(dir, 'certs', 'apiserver.key');

export function startEtcd(files: Files): Promise<ServerProcess> {
  const { dir, programs } = files;
  return runServer({
    ...common(files, 'etcd'),
    // Its files are all that is removed, and it is the one that still writes when the others have ended.
    removeDirs: [dir],
    command: async (port) => {
      const client = `http://127.0.0.1:${port}`;
      const peer = `http://127.0.0.1:${await steadyPort()}`;
      return {
        ...place(files, 'etcd'),
        file: join(programs, 'etcd'),
        args: [
          '--name=default',
          `--data-dir=${join(dir, 'etcd', 'data')}`,
          '--unsafe-no-fsync',
          '--log-level=warn',
          `--listen-client-urls=${client}`,
          `--advertise-client-urls=${client}`,
          `--listen-peer-urls=${peer}`,
          `--initial-advertise-peer-urls=${peer}`,
          `--initial-cluster=default=${peer}`,
        ],
      };
    },
    isReady: async (port) =>
      (await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined))
        ?.ok === true,
  });
}

/** Knows the users that `tokenFor` invents. */
export function startUserTokens(files: Files, secret: string): Promise<ServerProcess> {
  return runServer({
    ...common(files, 'user-tokens'),
    command: (port) =>
      Promise.resolve({
        ...place(files, 'user-tokens'),
        file: process.execPath,
        args: [fileURLToPath(new URL('./user-tokens.js', import.meta.url)), String(port), secret],
      }),
    isReady: listens,
  });
}

/** Started again on the port that it had: there its clients look for it. */
export async function startApiServer(
  files: Files,
  ports: { etcd: number; 'user-tokens': number; 'kube-apiserver'?: number },
): Promise<ServerProcess> {
  const { dir, programs, settings } = files;
  const again = ports['kube-apiserver'];
  const wantedPort = again ?? (await steadyPort());
  if (again !== undefined) {
    const isFree = async (): Promise<boolean> => (await freePort(again)) === again;
    await waitFor(isFree, { what: `port ${again} of the API server to be free again` });
  }
  const webhook = join(dir, 'user-tokens.kubeconfig');
  await writeFile(webhook, kubeconfig(`http://127.0.0.1:${ports['user-tokens']}`, {}));
  return runServer({
    ...common(files, 'kube-apiserver'),
    wantedPort,
    command: (port) =>
      Promise.resolve({
        ...place(files, 'kube-apiserver'),
        file: join(programs, 'kube-apiserver'),
        args: [
          `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
          '--bind-address=127.0.0.1',
          '--advertise-address=127.0.0.1',
          `--secure-port=${port}`,
          `--cert-dir=${join(dir, 'certs')}`,
          `--token-auth-file=${join(dir, 'tokens.csv')}`,
          `--authentication-token-webhook-config-file=${webhook}`,
          '--authentication-token-webhook-version=v1',
          '--authorization-mode=RBAC',
          `--service-account-key-file=${join(dir, 'sa.pub')}`,
          `--service-account-signing-key-file=${join(dir, 'sa.key')}`,
          '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
          '--service-cluster-ip-range=10.96.0.0/24',
          '--endpoint-reconciler-type=none',
          '--kubelet-preferred-address-types=InternalIP',
          '--allow-privileged=true',
          ...switches('--runtime-config', settings.runtimeConfig),
          ...switches('--feature-gates', settings.featureGates),
        ],
      }),
    isReady: (port) => answersReady(port, files),
  });
}

export function startControllerManager(files: Files): Promise<ServerProcess> {
  const { dir, settings } = files;
  return startClient(files, 'kube-controller-manager', [
    `--service-account-private-key-file=${join(dir, 'sa.key')}`,
    `--root-ca-file=${caFileOf(files)}`,
    '--node-monitor-period=1s',
    `--node-monitor-grace-period=${settings.nodeMonitorGraceMs}ms`,
    // Endpoints may not have loopback addresses, and nothing here routes by them.
    '--controllers=*,-endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller',
  ]);
}

export const startScheduler = (files: Files): Promise<ServerProcess> => startClient(files, 'kube-scheduler', []);

function startClient(files: Files, name: string, args: readonly string[]): Promise<ServerProcess> {
  const { settings } = files;
  return startServing(files, name, join(files.programs, name), [
    `--kubeconfig=${adminKubeconfigOf(files)}`,
    '--leader-elect=false',
    `--kube-api-qps=${settings.kubeApiQps}`,
    `--kube-api-burst=${settings.kubeApiQps * 2}`,
    ...switches('--feature-gates', settings.featureGates),
    ...args,
  ]);
}

/** A program that serves health and metrics on a port of its own, as all of Kubernetes' do. */
export function startServing(
  files: Files,
  name: string,
  program: string,
  args: readonly string[],
): Promise<ServerProcess> {
  const serving = ['--authentication-skip-lookup=true', '--bind-address=127.0.0.1'];
  return runServer({
    ...common(files, name),
    command: (port) =>
      Promise.resolve({
        ...{ ...place(files, name), file: program },
        args: [...serving, `--secure-port=${port}`, ...args],
      }),
    isReady: listens,
  });
}

/** Also for people: `kubectl --kubeconfig`. JSON is YAML. */
export function kubeconfig(server: string, { caFile, token }: { caFile?: string; token?: string }): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, ...(caFile !== undefined && { 'certificate-authority': caFile }) } }],
    users: [{ name: 'user', user: token === undefined ? {} : { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'user' } }],
    'current-context': 'test',
  });
}

/** Nothing here outlives a test process, so nothing is ended in order. */
function common({ dir, settings }: Files, name: string): Omit<ServerKind, 'command' | 'isReady'> {
  return {
    name,
    dir: join(dir, name),
    wantedPort: 0,
    settings,
    stopSignal: 'SIGKILL',
    stopGraceMs: 10_000,
    readyTimeoutMs: 120_000,
    endWithParent: true,
    removeDirs: [],
    log: () => undefined,
  };
}

const place = (
  { dir }: Files,
  name: string,
): { cwd: string; logFile: string; env: Readonly<Record<string, string>> } => ({
  cwd: join(dir, name),
  logFile: join(dir, name, `${name}.log`),
  env: COLLECTING,
});

function switches(flag: string, values: Readonly<Record<string, boolean>>): string[] {
  const set = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  return set.length === 0 ? [] : [`${flag}=${set.join(',')}`];
}

async function answersReady(port: number, files: Files): Promise<boolean> {
  const ca = await readFile(caFileOf(files), 'utf8').catch(() => undefined);
  if (ca === undefined) return false; // it makes the certificate when it starts first
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
    const asked = get({ host: '127.0.0.1', port, path: '/readyz', ca, headers, timeout: 2_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.once('timeout', () => asked.destroy());
    asked.once('error', () => resolve(false));
  });
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port, timeout: 1_000 });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
  });
}

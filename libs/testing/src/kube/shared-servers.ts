import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { endProcess, isAlive } from '@luthier/local-servers';
import type { ProcessIdentity, ServerProcess } from '@luthier/local-servers';
import {
  ADMIN_TOKEN,
  adminKubeconfigOf,
  caFileOf,
  kubeconfig,
  startApiServer,
  startControllerManager,
  startEtcd,
  startScheduler,
  startUserTokens,
} from './control-plane-servers.js';
import type { Files } from './control-plane-servers.js';

export const PROGRAMS = ['user-tokens', 'etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const;
const CLIENTS = ['kube-controller-manager', 'kube-scheduler'] as const;
export type ProgramName = (typeof PROGRAMS)[number];

/** The servers of a test process, as its first test file leaves them for the next one. */
export interface SharedServers {
  files: Files;
  secret: string;
  ports: Record<'user-tokens' | 'etcd' | 'kube-apiserver', number>;
  servers: Record<ProgramName, ProcessIdentity>;
}

/** Those that run already, or new ones. To be called by one at a time. */
export async function sharedServers(files: Files): Promise<SharedServers> {
  const known = await readNote(files).catch(() => undefined);
  if (known && (await isAlive(known.servers.etcd))) {
    await ensureApiServer(known);
    return known;
  }
  await rm(files.dir, { recursive: true, force: true });
  await mkdir(files.dir, { recursive: true, mode: 0o711 });
  await writeCredentials(files.dir);
  const secret = randomBytes(32).toString('hex');
  const [etcd, userTokens] = await Promise.all([startEtcd(files), startUserTokens(files, secret)]);
  const apiServer = await startApiServer(files, { etcd: etcd.port, 'user-tokens': userTokens.port });
  const admin = kubeconfig(`https://127.0.0.1:${apiServer.port}`, { caFile: caFileOf(files), token: ADMIN_TOKEN });
  await writeFile(adminKubeconfigOf(files), admin, { mode: 0o600 });
  const [controllers, scheduler] = await Promise.all([startControllerManager(files), startScheduler(files)]);
  const shared: SharedServers = {
    files,
    secret,
    ports: { 'user-tokens': userTokens.port, etcd: etcd.port, 'kube-apiserver': apiServer.port },
    servers: {
      'user-tokens': userTokens.identity,
      etcd: etcd.identity,
      'kube-apiserver': apiServer.identity,
      'kube-controller-manager': controllers.identity,
      'kube-scheduler': scheduler.identity,
    },
  };
  await writeNote(shared);
  return shared;
}

export const readNote = async ({ dir }: Files): Promise<SharedServers> =>
  JSON.parse(await readFile(join(dir, 'shared.json'), 'utf8')) as SharedServers;

const writeNote = (shared: SharedServers): Promise<void> =>
  writeFile(join(shared.files.dir, 'shared.json'), JSON.stringify(shared), { mode: 0o600 });

/** The key that signs tokens of service accounts, and the one user that is there from the beginning. */
async function writeCredentials(dir: string): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  await writeFile(join(dir, 'sa.key'), privateKey, { mode: 0o600 });
  await writeFile(join(dir, 'sa.pub'), publicKey);
  await writeFile(join(dir, 'tokens.csv'), `${ADMIN_TOKEN},admin,admin,"system:masters"\n`, { mode: 0o600 });
}

/**
 * A test may have ended between stopping the API server and starting it. Its clients here are started anew with it: after
 * some outages they wait for up to a minute before they ask again, and tests would wait with them.
 */
export async function ensureApiServer(shared: SharedServers): Promise<void> {
  if (await isAlive(shared.servers['kube-apiserver'])) return;
  for (const name of CLIENTS) await endProcess(shared.servers[name], 'SIGKILL', 0);
  const started: ServerProcess = await startApiServer(shared.files, shared.ports);
  if (started.port !== shared.ports['kube-apiserver']) throw new Error('the port of the API server was taken');
  shared.servers['kube-apiserver'] = started.identity;
  const [controllers, scheduler] = await Promise.all([
    startControllerManager(shared.files),
    startScheduler(shared.files),
  ]);
  shared.servers['kube-controller-manager'] = controllers.identity;
  shared.servers['kube-scheduler'] = scheduler.identity;
  await writeNote(shared);
}

/** The garbage collector learns new kinds every 30 s only, or when it starts. */
export async function restartControllerManager(files: Files): Promise<void> {
  const shared = await readNote(files);
  await endProcess(shared.servers['kube-controller-manager'], 'SIGKILL', 0);
  shared.servers['kube-controller-manager'] = (await startControllerManager(files)).identity;
  await writeNote(shared);
}

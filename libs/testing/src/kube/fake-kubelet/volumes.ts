import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { ifFound } from '../kube-api.js';
import type { KubeApi } from '../kube-api.js';
import type { DownwardFile, KeyToPath, Pod, Volume, VolumeProjection } from '../objects.js';
import { CannotStart } from './container-run.js';
import { readData } from './environment.js';
import { fieldRef, resourceFieldRef } from './field-ref.js';
import type { PodPlace } from './field-ref.js';

export interface VolumeTables {
  /** Folders of this machine by path of the node. */
  hostPaths?: Readonly<Record<string, string>>;
  /** Folders by name of the claim, for volumes that are not of the kind hostPath. */
  claims?: Readonly<Record<string, string>>;
}

interface Target {
  api: KubeApi;
  pod: Pod;
  place: PodPlace;
  tables: VolumeTables;
}

/**
 * Makes the folder that stands in for a volume of the pod.
 * @param own an empty folder for what belongs to the pod alone.
 * @throws CannotStart as a kubelet that cannot mount it.
 */
export async function provideVolume(target: Target, volume: Volume, own: string): Promise<string> {
  const { name, emptyDir, hostPath, persistentVolumeClaim, secret, configMap, downwardAPI, projected } = volume;
  if (hostPath)
    return folderOf(target.tables.hostPaths?.[hostPath.path], name, `no folder stands for ${hostPath.path}`);
  if (persistentVolumeClaim) return claimFolder(target, name, persistentVolumeClaim.claimName);
  const sources: VolumeProjection[] = [
    ...(secret ? [{ secret: { ...secret, name: secret.secretName ?? '' } }] : []),
    ...(configMap ? [{ configMap }] : []),
    ...(downwardAPI ? [{ downwardAPI }] : []),
    ...(projected?.sources ?? []),
  ];
  if (sources.length === 0 && !emptyDir) throw cannotMount(name, 'the fake kubelet does not know this kind of volume');
  // Made anew when it is tried again.
  await rm(own, { recursive: true, force: true });
  await mkdir(own, { recursive: true });
  await chmod(own, 0o777); // whoever runs in the pod may write there, whatever the umask of the test
  const mode = (secret ?? configMap ?? projected)?.defaultMode ?? 0o644;
  for (const source of sources) await project(target, name, source, own, mode);
  return own;
}

async function project(
  target: Target,
  volume: string,
  { secret, configMap, serviceAccountToken, downwardAPI }: VolumeProjection,
  into: string,
  mode: number,
): Promise<void> {
  const { api, pod } = target;
  const ref = secret ?? configMap;
  if (ref) {
    const kind = secret ? 'secret' : 'configmap';
    const data = await readData(api, pod.metadata.namespace, kind, ref.name ?? '');
    if (!data && ref.optional === true) return;
    if (!data) throw cannotMount(volume, `${kind} "${ref.name}" not found`);
    const items = ref.items ?? Object.keys(data).map((key) => ({ key, path: key }));
    for (const { key, path, mode: own } of items as readonly KeyToPath[]) {
      const content = data[key];
      if (content) await put(into, path, content, own ?? mode);
      else if (ref.optional !== true) throw cannotMount(volume, `references non-existent ${kind} key: ${key}`);
    }
  }
  if (serviceAccountToken)
    await put(into, serviceAccountToken.path, await requestToken(target, serviceAccountToken), 0o600);
  for (const item of downwardAPI?.items ?? []) await put(into, item.path, downward(target, item), mode);
}

/** A real token of the pod's service account, bound to the pod. */
async function requestToken(
  { api, pod }: Target,
  { audience, expirationSeconds = 3_600 }: { audience?: string; expirationSeconds?: number },
): Promise<string> {
  const { namespace, name, uid } = pod.metadata;
  const account = `/api/v1/namespaces/${namespace}/serviceaccounts/${pod.spec.serviceAccountName ?? 'default'}`;
  const { status } = await api.post<{ status: { token: string } }>(`${account}/token`, {
    spec: {
      ...(audience !== undefined && { audiences: [audience] }),
      expirationSeconds,
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
    },
  });
  return status.token;
}

function downward({ pod, place }: Target, { fieldRef: field, resourceFieldRef: resource }: DownwardFile): string {
  if (field) return fieldRef(pod, place, field.fieldPath);
  return resource ? resourceFieldRef(pod.spec.containers, place, resource) : '';
}

async function claimFolder({ api, pod, tables }: Target, volume: string, claim: string): Promise<string> {
  const listed = tables.claims?.[claim];
  if (listed !== undefined) return listed;
  type Claim = { spec: { volumeName?: string } };
  const bound = await ifFound(
    api.get<Claim>(`/api/v1/namespaces/${pod.metadata.namespace}/persistentvolumeclaims/${claim}`),
  );
  if (!bound) throw cannotMount(volume, `persistentvolumeclaim "${claim}" not found`);
  type Persistent = { spec: { hostPath?: { path: string } } };
  const found = await ifFound(api.get<Persistent>(`/api/v1/persistentvolumes/${bound.spec.volumeName ?? ''}`));
  return folderOf(found?.spec.hostPath?.path, volume, `no folder stands for the claim ${claim}`);
}

function folderOf(folder: string | undefined, volume: string, otherwise: string): string {
  if (folder === undefined) throw cannotMount(volume, otherwise);
  return folder;
}

async function put(into: string, path: string, content: string | Buffer, mode: number): Promise<void> {
  const file = join(into, normalize(join('/', path)));
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content, { mode });
}

/** Of a container nothing is seen but that it is being created; the event says why. */
const cannotMount = (volume: string, why: string): CannotStart =>
  new CannotStart('ContainerCreating', `MountVolume.SetUp failed for volume "${volume}" : ${why}`, {
    type: 'Warning',
    reason: 'FailedMount',
  });

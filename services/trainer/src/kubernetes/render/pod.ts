import type { V1Container, V1PodSpec, V1PodTemplateSpec } from '@luthier/kube';
import type { RunSpec } from '@luthier/contracts';
import type { RenderInput } from '../carriers/carrier.js';
import type { ClusterProfile } from '../cluster-profile.js';
import { ANNOTATION, LABEL, RUN_CONTAINER, labelsOf, objectNameOf } from '../names.js';
import { affinityOf, tolerationsOf, wantsDevices } from './placement.js';

type Variable = NonNullable<V1Container['env']>[number];
type Resources = NonNullable<V1Container['resources']>;
type Volume = NonNullable<V1PodSpec['volumes']>[number];

export interface RenderTarget {
  namespace: string;
  /** Folder of the artifact store, the same path in the trainer and in the pods; undefined: objects come by URL. */
  artifactsDir: string | undefined;
}

export const WORK_DIR = '/run/luthier';
export const TERMINATION_LOG = '/run/termination-log';
const MASTER_PORT = 29_500;

/** How the pods of an attempt find each other. */
export interface PodNaming {
  /** Name of the first node's pod, as the others ask for it. */
  firstPod: string;
  /** The headless Service; undefined where whatever makes the pods sets it. */
  subdomain?: string;
}

/** The pod of each node of an attempt. */
export function renderPodTemplate(
  { spec, profile, target, avoidNodes }: RenderInput,
  { firstPod, subdomain }: PodNaming,
): V1PodTemplateSpec {
  const name = objectNameOf(spec.runId, spec.attempt);
  const affinity = affinityOf(spec, profile, avoidNodes);
  return {
    metadata: {
      labels: {
        ...labelsOf(spec),
        ...(profile.gang.type === 'coscheduling' && { [LABEL.podGroup]: name }),
      },
      annotations: {
        'kueue.x-k8s.io/safe-to-forcefully-delete': 'true',
        ...topologyOf(profile),
        ...(profile.gang.type === 'volcano' && { [ANNOTATION.volcanoGroup]: name }),
      },
    },
    spec: {
      restartPolicy: 'Never',
      ...(subdomain !== undefined && { subdomain }),
      terminationGracePeriodSeconds: spec.stopGraceSeconds,
      serviceAccountName: profile.serviceAccount,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: profile.user,
        runAsGroup: profile.user,
        fsGroup: profile.user,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      ...(profile.imagePullSecrets.length > 0 && {
        imagePullSecrets: profile.imagePullSecrets.map((secret) => ({ name: secret })),
      }),
      ...(Object.keys(profile.nodeSelector).length > 0 && { nodeSelector: profile.nodeSelector }),
      ...(affinity && { affinity }),
      tolerations: tolerationsOf(spec, profile),
      ...(profile.runtimeClassName !== undefined && { runtimeClassName: profile.runtimeClassName }),
      ...(profile.schedulerName !== undefined && { schedulerName: profile.schedulerName }),
      volumes: volumesOf(spec, profile, target),
      containers: [containerOf(spec, profile, target, firstPod)],
    },
  };
}

function containerOf(
  spec: RunSpec,
  profile: ClusterProfile,
  { artifactsDir }: RenderTarget,
  firstPod: string,
): V1Container {
  const name = objectNameOf(spec.runId, spec.attempt);
  return {
    name: RUN_CONTAINER,
    image: profile.image,
    command: profile.command,
    envFrom: [{ configMapRef: { name } }],
    env: environmentOf(spec, profile, { secret: name, firstPod }),
    resources: resourcesOf(spec, profile),
    terminationMessagePath: TERMINATION_LOG,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'shm', mountPath: '/dev/shm' },
      { name: 'work', mountPath: WORK_DIR },
      { name: 'tmp', mountPath: '/tmp' },
      ...(profile.artifactsClaim !== undefined && artifactsDir !== undefined
        ? [{ name: 'artifacts', mountPath: artifactsDir }]
        : []),
    ],
  };
}

function environmentOf(
  spec: RunSpec,
  profile: ClusterProfile,
  { secret, firstPod }: { secret: string; firstPod: string },
): Variable[] {
  const { nodes, devicesPerNode } = spec.resources;
  const annotation = `metadata.annotations['${LABEL.completionIndex}']`;
  const rank: Variable['valueFrom'] = { fieldRef: { fieldPath: annotation } };
  return [
    ...Object.entries(profile.environment).map(([key, value]) => ({ name: key, value })),
    { name: 'LUTHIER_RUN_POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
    { name: 'LUTHIER_RUN_NODE', valueFrom: rank },
    { name: 'LUTHIER_RUN_MACHINE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
    { name: 'LUTHIER_RUN_ATTACH_TOKEN', valueFrom: { secretKeyRef: { name: secret, key: 'attach-token' } } },
    // What torchrun reads; the names are its own.
    { name: 'PET_NNODES', value: String(nodes) },
    { name: 'PET_NPROC_PER_NODE', value: String(Math.max(1, devicesPerNode)) },
    { name: 'PET_NODE_RANK', valueFrom: rank },
    { name: 'PET_MASTER_ADDR', value: firstPod },
    { name: 'PET_MASTER_PORT', value: String(MASTER_PORT) },
  ];
}

function resourcesOf(spec: RunSpec, profile: ClusterProfile): Resources {
  const { cpu, memoryMib, scratchMib, devicesPerNode } = spec.resources;
  const memory = `${memoryMib}Mi`;
  const devices =
    wantsDevices(spec, profile) && profile.deviceResource !== undefined
      ? { [profile.deviceResource]: String(devicesPerNode) }
      : {};
  const scratch = scratchMib > 0 ? { 'ephemeral-storage': `${scratchMib}Mi` } : {};
  // No limit of CPU time: throttling only makes a run slower.
  return {
    requests: { cpu: String(cpu), memory, ...scratch, ...devices },
    limits: { memory, ...scratch, ...devices },
  };
}

function volumesOf(spec: RunSpec, profile: ClusterProfile, { artifactsDir }: RenderTarget): Volume[] {
  const { scratchMib } = spec.resources;
  return [
    { name: 'shm', emptyDir: { medium: 'Memory', sizeLimit: `${profile.sharedMemoryMib}Mi` } },
    { name: 'work', emptyDir: scratchMib > 0 ? { sizeLimit: `${scratchMib}Mi` } : {} },
    { name: 'tmp', emptyDir: {} },
    ...(profile.artifactsClaim !== undefined && artifactsDir !== undefined
      ? [{ name: 'artifacts', persistentVolumeClaim: { claimName: profile.artifactsClaim } }]
      : []),
  ];
}

function topologyOf({ topology }: ClusterProfile): Record<string, string> {
  if (!topology) return {};
  return { [`kueue.x-k8s.io/podset-${topology.mode}-topology`]: topology.level ?? 'true' };
}

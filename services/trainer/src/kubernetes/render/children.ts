import type { ObjectMeta, V1ConfigMap, V1Secret, V1Service } from '@luthier/kube';
import type { RunSpec } from '@luthier/contracts';
import type { Carrier } from '../carriers/carrier.js';
import type { ClusterProfile } from '../cluster-profile.js';
import { LABEL, labelsOf, objectNameOf } from '../names.js';
import { TERMINATION_LOG, WORK_DIR } from './pod.js';
import type { RenderTarget } from './pod.js';

export interface RunnerSettings {
  /** Of the run endpoint, as pods reach it. */
  endpointUrl: string;
  attachToken: string;
  deliveryTimeoutMs: number;
}

/** What the pods need besides the root object; all of it goes with that. */
export interface Children {
  configMap: V1ConfigMap;
  secret: V1Secret;
  service?: V1Service;
  podGroup?: PodGroup;
}

/** Of the coscheduling plugin's PodGroups. */
export const COSCHEDULING_API = 'scheduling.x-k8s.io/v1alpha1';

/** As Volcano and the coscheduling plugin declare it. */
export interface PodGroup {
  apiVersion: string;
  kind: 'PodGroup';
  metadata: ObjectMeta;
  spec: { minMember: number; queue?: string; scheduleTimeoutSeconds?: number };
}

/**
 * ConfigMap (settings), Secret (attach token) and headless Service (names of the pods), owned by the root object. Not immutable:
 * a trainer that starts with other settings must be able to go on where its predecessor stopped half-way. Pure.
 */
export function renderChildren(
  carrier: Carrier,
  spec: RunSpec,
  profile: ClusterProfile,
  { namespace }: Pick<RenderTarget, 'namespace'>,
  rootUid: string,
  runner: RunnerSettings,
): Children {
  const { apiVersion, kind } = carrier.resource;
  const name = objectNameOf(spec.runId, spec.attempt);
  const metadata: ObjectMeta = {
    ...{ name, namespace, labels: labelsOf(spec) },
    ownerReferences: [{ apiVersion, kind, name, uid: rootUid, controller: true, blockOwnerDeletion: true }],
  };
  const podGroup = podGroupOf(profile, spec, metadata);
  return {
    configMap: {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata,
      data: settingsOf(spec, profile, runner),
    },
    secret: {
      ...{ apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque' },
      stringData: { 'attach-token': runner.attachToken },
    },
    ...(!carrier.bringsService && { service: serviceOf(metadata, carrier.jobOf(name)) }),
    ...(podGroup && { podGroup }),
  };
}

const serviceOf = (metadata: ObjectMeta, job: string): V1Service => ({
  ...{ apiVersion: 'v1', kind: 'Service', metadata },
  spec: {
    clusterIP: 'None',
    // Ranks look for each other before all of them are ready.
    publishNotReadyAddresses: true,
    selector: { [LABEL.jobName]: job },
  },
});

/** Names of the variables that the ConfigMap holds. */
export const settingNames = (spec: RunSpec, profile: ClusterProfile): string[] =>
  Object.keys(settingsOf(spec, profile, { endpointUrl: '', attachToken: '', deliveryTimeoutMs: 0 }));

/** Environment of the runner that is no secret. */
function settingsOf(spec: RunSpec, profile: ClusterProfile, runner: RunnerSettings): Record<string, string> {
  return {
    LUTHIER_RUN_ID: spec.runId,
    LUTHIER_RUN_ATTEMPT: String(spec.attempt),
    LUTHIER_RUN_ENDPOINT: runner.endpointUrl,
    LUTHIER_RUN_FOLDER: `${WORK_DIR}/run`,
    LUTHIER_RUN_RUNTIME_COMMAND: JSON.stringify(profile.runtimeCommand),
    LUTHIER_RUN_DELIVERY_TIMEOUT_MS: String(runner.deliveryTimeoutMs),
    // Orders come with the endpoint's answers, and by SIGTERM; there is nobody at standard input.
    LUTHIER_RUN_CONTROL: 'endpoint',
    LUTHIER_RUN_TERMINATION_LOG: TERMINATION_LOG,
    // A pod's log is read through the API.
    LUTHIER_RUN_ECHO_LOG: 'true',
    // As long as the trainer waits for the other nodes.
    LUTHIER_RUN_ATTACH_TIMEOUT_MS: String((profile.preRunningSeconds + 60) * 1_000),
    LUTHIER_RUN_REQUEST_URI: spec.requestUri,
    LUTHIER_RUN_REQUEST_SHA256: spec.requestSha256,
    LUTHIER_RUN_RUNTIME: spec.runtime,
    LUTHIER_RUN_PROFILE: spec.profile,
    LUTHIER_RUN_OWNER: `${spec.owner.kind}/${spec.owner.id}`,
    ...(spec.jobId !== undefined && { LUTHIER_RUN_JOB_ID: spec.jobId }),
  };
}

function podGroupOf({ gang }: ClusterProfile, spec: RunSpec, metadata: ObjectMeta): PodGroup | undefined {
  const { nodes } = spec.resources;
  if (gang.type === 'none') return undefined;
  if (gang.type === 'volcano') {
    const apiVersion = 'scheduling.volcano.sh/v1beta1';
    return {
      ...{ apiVersion, kind: 'PodGroup', metadata },
      spec: { minMember: nodes, ...(gang.queue !== undefined && { queue: gang.queue }) },
    };
  }
  const { scheduleTimeoutSeconds } = gang;
  return {
    ...{ apiVersion: COSCHEDULING_API, kind: 'PodGroup', metadata },
    spec: { minMember: nodes, scheduleTimeoutSeconds },
  };
}

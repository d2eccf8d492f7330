import type { ObjectMeta, V1ConfigMap, V1Secret, V1Service } from '@luthier/kube';
import type { RunSpec } from '@luthier/contracts';
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

/** What the pods need besides the Job; all of it goes with the Job. */
export interface Children {
  configMap: V1ConfigMap;
  secret: V1Secret;
  service: V1Service;
  podGroup?: PodGroup;
}

/** As Volcano and the coscheduling plugin declare it. */
export interface PodGroup {
  apiVersion: string;
  kind: 'PodGroup';
  metadata: ObjectMeta;
  spec: { minMember: number; queue?: string; scheduleTimeoutSeconds?: number };
}

/**
 * ConfigMap (settings), Secret (attach token) and headless Service (names of the pods), owned by the Job. Not immutable:
 * a trainer that starts with other settings must be able to go on where its predecessor stopped half-way. Pure.
 */
export function renderChildren(
  spec: RunSpec,
  profile: ClusterProfile,
  { namespace }: Pick<RenderTarget, 'namespace'>,
  jobUid: string,
  runner: RunnerSettings,
): Children {
  const name = objectNameOf(spec.runId, spec.attempt);
  const metadata: ObjectMeta = {
    ...{ name, namespace, labels: labelsOf(spec) },
    ownerReferences: [
      { apiVersion: 'batch/v1', kind: 'Job', name, uid: jobUid, controller: true, blockOwnerDeletion: true },
    ],
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
    service: {
      ...{ apiVersion: 'v1', kind: 'Service', metadata },
      spec: {
        clusterIP: 'None',
        // Ranks look for each other before all of them are ready.
        publishNotReadyAddresses: true,
        selector: { [LABEL.jobName]: name },
      },
    },
    ...(podGroup && { podGroup }),
  };
}

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
    ...{ apiVersion: 'scheduling.x-k8s.io/v1alpha1', kind: 'PodGroup', metadata },
    spec: { minMember: nodes, scheduleTimeoutSeconds },
  };
}

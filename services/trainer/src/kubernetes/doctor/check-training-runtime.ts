import type { ClusterCheck } from '@luthier/contracts';
import { defineResource } from '@luthier/kube';
import type { KubeClient, KubeObject, V1Job } from '@luthier/kube';
import { fail, ok } from '../../inventory/findings.js';
import type { ClusterProfile } from '../cluster-profile.js';
import { RUN_CONTAINER } from '../names.js';
import { TERMINATION_LOG } from '../render/pod.js';
import { notLooked } from './not-looked.js';

/** What is read of a TrainingRuntime or ClusterTrainingRuntime. */
interface TrainingRuntime extends KubeObject {
  spec?: {
    mlPolicy?: { torch?: object };
    template?: {
      spec?: {
        failurePolicy?: { maxRestarts?: number };
        replicatedJobs?: readonly { name: string; template?: Pick<V1Job, 'metadata' | 'spec'> }[];
      };
    };
  };
}

const API = 'trainer.kubeflow.org/v1alpha1';
const RUNTIMES = {
  TrainingRuntime: defineResource<TrainingRuntime>({
    ...{ apiVersion: API, kind: 'TrainingRuntime', plural: 'trainingruntimes', namespaced: true },
  }),
  ClusterTrainingRuntime: defineResource<TrainingRuntime>({
    ...{ apiVersion: API, kind: 'ClusterTrainingRuntime', plural: 'clustertrainingruntimes', namespaced: false },
  }),
};

/** Whether a profile's training runtime leaves nothing to chance that a TrainJob cannot say itself. */
export async function checkTrainingRuntime(
  client: Pick<KubeClient, 'get'>,
  { name: profile, carrier }: ClusterProfile,
  namespace: string,
): Promise<ClusterCheck[]> {
  if (carrier.type !== 'train-job') return [];
  const about = { topic: 'training-runtime', profile } as const;
  const resource = RUNTIMES[carrier.runtimeKind];
  try {
    const found = await client.get(resource, carrier.runtime, resource.namespaced ? namespace : undefined);
    const named = { kind: carrier.runtimeKind, name: carrier.runtime };
    if (!found) return [fail(about, 'training-runtime-missing', named)];
    const wanted = missingFrom(found);
    return wanted.length === 0
      ? [ok(about, 'training-runtime-fits', named)]
      : [fail(about, 'training-runtime-unfit', { ...named, wanted: wanted.join(', ') })];
  } catch (cause) {
    return [notLooked(about, cause)];
  }
}

/** Fields as they must be and are not. */
function missingFrom({ spec }: TrainingRuntime): string[] {
  const { failurePolicy, replicatedJobs = [] } = spec?.template?.spec ?? {};
  const step = replicatedJobs.find(({ template }) => template?.metadata?.labels?.[ANCESTOR] === 'trainer');
  const job = step?.template?.spec;
  const pod = job?.template.spec;
  const container = pod?.containers.find(({ name }) => name === RUN_CONTAINER);
  const fields: [isSo: boolean, field: string][] = [
    [step?.name === RUN_CONTAINER, `replicatedJobs.name: ${RUN_CONTAINER}`],
    [container !== undefined, `containers.name: ${RUN_CONTAINER}`],
    [spec?.mlPolicy?.torch !== undefined, 'mlPolicy.torch'],
    [(failurePolicy?.maxRestarts ?? 0) === 0, 'failurePolicy.maxRestarts: 0'],
    [job?.backoffLimit === 0, 'backoffLimit: 0'],
    [job?.podReplacementPolicy === 'Failed', 'podReplacementPolicy: Failed'],
    [pod?.restartPolicy === 'Never', 'restartPolicy: Never'],
    [pod?.terminationGracePeriodSeconds !== undefined, 'terminationGracePeriodSeconds'],
    [pod?.automountServiceAccountToken === false, 'automountServiceAccountToken: false'],
    [container?.terminationMessagePath === TERMINATION_LOG, `terminationMessagePath: ${TERMINATION_LOG}`],
  ];
  return fields.flatMap(([isSo, field]) => (isSo ? [] : [field]));
}

const ANCESTOR = 'trainer.kubeflow.org/trainjob-ancestor-step';

import type { ClusterCheck } from '@luthier/contracts';
import { defineResource } from '@luthier/kube';
import type { KubeClient, KubeObject, V1Job } from '@luthier/kube';
import type { ClusterProfile } from '../cluster-profile.js';
import { RUN_CONTAINER } from '../names.js';
import { TERMINATION_LOG } from '../render/pod.js';
import { fail, notLooked, ok } from './findings.js';

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
  const check = `training runtime of profile ${profile}`;
  const resource = RUNTIMES[carrier.runtimeKind];
  try {
    const found = await client.get(resource, carrier.runtime, resource.namespaced ? namespace : undefined);
    const faults = found ? faultsOf(found) : ['it does not exist'];
    if (faults.length === 0) return [ok(check, `${carrier.runtimeKind} ${carrier.runtime} is there and fits.`)];
    return [
      fail(
        check,
        `${carrier.runtimeKind} ${carrier.runtime}: ${faults.join('; ')}.`,
        'Write it as docs/guides/kubernetes.en.md shows.',
      ),
    ];
  } catch (cause) {
    return [notLooked(check, cause)];
  }
}

function faultsOf({ spec }: TrainingRuntime): string[] {
  const { failurePolicy, replicatedJobs = [] } = spec?.template?.spec ?? {};
  const step = replicatedJobs.find(({ template }) => template?.metadata?.labels?.[ANCESTOR] === 'trainer');
  const job = step?.template?.spec;
  const pod = job?.template.spec;
  const container = pod?.containers.find(({ name }) => name === RUN_CONTAINER);
  const wanted: [isSo: boolean, fault: string][] = [
    [
      step?.name === RUN_CONTAINER && container !== undefined,
      `its training step and container must be named ${RUN_CONTAINER}`,
    ],
    [spec?.mlPolicy?.torch !== undefined, 'it has no torch policy, so that processes do not find each other'],
    [(failurePolicy?.maxRestarts ?? 0) === 0, 'failurePolicy.maxRestarts must be 0'],
    [job?.backoffLimit === 0, 'backoffLimit must be 0'],
    [job?.podReplacementPolicy === 'Failed', 'podReplacementPolicy must be Failed'],
    [pod?.restartPolicy === 'Never', 'restartPolicy must be Never'],
    [pod?.automountServiceAccountToken === false, 'automountServiceAccountToken must be false'],
    [container?.terminationMessagePath === TERMINATION_LOG, `terminationMessagePath must be ${TERMINATION_LOG}`],
  ];
  return wanted.flatMap(([isSo, fault]) => (isSo ? [] : [fault]));
}

const ANCESTOR = 'trainer.kubeflow.org/trainjob-ancestor-step';

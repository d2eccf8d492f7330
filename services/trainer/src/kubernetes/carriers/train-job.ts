import type { RunSpec } from '@luthier/contracts';
import { defineResource } from '@luthier/kube';
import type { KubeObject, V1Container, V1PodSpec } from '@luthier/kube';
import { RUN_CONTAINER, labelsOf, objectNameOf } from '../names.js';
import { settingNames } from '../render/children.js';
import { renderPodTemplate } from '../render/pod.js';
import type { Carrier, RenderInput } from './carrier.js';
import { conditionsAsOfJob, startTimeOf } from './metav1-conditions.js';
import type { Condition } from './metav1-conditions.js';

/** What is read of it. */
interface TrainJob extends KubeObject {
  spec?: { suspend?: boolean; trainer?: { numNodes?: number } };
  status?: { conditions?: readonly Condition[] };
}

type Variable = NonNullable<V1Container['env']>[number];

/** Of the replicated Job whose pods train, in every runtime of Kubeflow Trainer; its container has that name too. */
const NODES = 'node';
const MANAGER = 'luthier.dev/trainer';
/** Set by the torch plugin of Kubeflow Trainer, which refuses them from anybody else. */
const RESERVED = /^PET_/;

/** A TrainJob of Kubeflow Trainer 2: a JobSet is made of it and of the (Cluster)TrainingRuntime that the profile names. */
export const TRAIN_JOB: Carrier<TrainJob> = {
  resource: defineResource<TrainJob>({
    apiVersion: 'trainer.kubeflow.org/v1alpha1',
    kind: 'TrainJob',
    plural: 'trainjobs',
    namespaced: true,
  }),
  render: (input) => {
    const { carrier } = input.profile;
    // Without a runtime it is no object that was ever made: one that is there is not taken for it.
    const { runtime: name = '', runtimeKind: kind = '' } = carrier.type === 'train-job' ? carrier : {};
    const { metadata, spec: pod } = renderPodTemplate(input, { firstPod: '' });
    const [container] = pod?.containers ?? [];
    const labels = labelsOf(input.spec);
    if (!pod || !container) throw new Error('a pod without a container was rendered');
    return {
      suspend: true,
      runtimeRef: { apiGroup: 'trainer.kubeflow.org', kind, name },
      trainer: {
        ...{ image: container.image, command: container.command, env: environmentOf(input, container) },
        numNodes: input.spec.resources.nodes,
        numProcPerNode: Math.max(1, input.spec.resources.devicesPerNode),
        resourcesPerNode: container.resources,
      },
      runtimePatches: [
        {
          manager: MANAGER,
          trainingRuntimeSpec: {
            template: {
              metadata: { labels },
              spec: {
                replicatedJobs: [
                  {
                    name: NODES,
                    template: {
                      metadata: { labels },
                      spec: { template: { metadata, spec: podPatchOf(input.spec, pod, container) } },
                    },
                  },
                ],
              },
            },
          },
        },
      ],
    };
  },
  viewOf: (trainJob) => {
    const { apiVersion, kind, metadata, spec } = trainJob;
    const completions = spec?.trainer?.numNodes;
    return {
      ...(apiVersion !== undefined && { apiVersion }),
      ...(kind !== undefined && { kind }),
      ...(metadata && { metadata }),
      spec: {
        ...(spec?.suspend !== undefined && { suspend: spec.suspend }),
        ...(completions !== undefined && { completions }),
      },
      status: { ...startTimeOf(trainJob), conditions: conditionsAsOfJob(trainJob) },
    };
  },
  jobOf: (name) => `${name}-${NODES}-0`,
  bringsService: true,
};

/** A TrainJob knows no `envFrom`: each setting is named. */
function environmentOf({ spec, profile }: RenderInput, { env = [] }: V1Container): Variable[] {
  const name = objectNameOf(spec.runId, spec.attempt);
  return [
    ...settingNames(spec, profile).map((key) => ({ name: key, valueFrom: { configMapKeyRef: { name, key } } })),
    ...env.filter((variable) => !RESERVED.test(variable.name)),
  ];
}

/** What of a pod may be said besides its runtime; all else is the runtime's, and the doctor looks whether it fits. */
function podPatchOf(
  { queue }: RunSpec,
  pod: V1PodSpec,
  { volumeMounts, securityContext }: V1Container,
): Partial<V1PodSpec> {
  const { serviceAccountName, securityContext: ofPod, imagePullSecrets, nodeSelector, affinity } = pod;
  const { tolerations, terminationGracePeriodSeconds, volumes } = pod;
  return {
    ...(serviceAccountName !== undefined && { serviceAccountName }),
    ...(ofPod && { securityContext: ofPod }),
    ...(imagePullSecrets && { imagePullSecrets }),
    ...(nodeSelector && { nodeSelector }),
    ...(affinity && { affinity }),
    ...(tolerations && { tolerations }),
    // Kueue 0.19 writes TrainJobs back without it, and a JobSet that is there may not lose it.
    ...(queue !== 'external' && terminationGracePeriodSeconds !== undefined && { terminationGracePeriodSeconds }),
    ...(volumes && { volumes }),
    containers: [
      { name: RUN_CONTAINER, ...(volumeMounts && { volumeMounts }), ...(securityContext && { securityContext }) },
    ],
  };
}

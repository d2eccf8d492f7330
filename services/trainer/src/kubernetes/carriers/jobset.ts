import { defineResource } from '@luthier/kube';
import type { KubeObject, V1Job } from '@luthier/kube';
import { labelsOf, objectNameOf } from '../names.js';
import type { Carrier } from './carrier.js';
import { renderJobSpec } from './job.js';
import { conditionsAsOfJob, startTimeOf } from './metav1-conditions.js';
import type { Condition } from './metav1-conditions.js';

/** What is read of it. */
interface JobSet extends KubeObject {
  spec?: {
    suspend?: boolean;
    replicatedJobs?: readonly { template?: { spec?: Pick<NonNullable<V1Job['spec']>, 'completions'> } }[];
  };
  status?: { conditions?: readonly Condition[] };
}

/** Of its one replicated Job, so that pods have the names that Kubeflow Trainer gives too: `<object>-node-0-<index>`. */
const NODES = 'node';

/** A JobSet of one Indexed Job, which is never made anew. */
export const JOB_SET: Carrier<JobSet> = {
  resource: defineResource<JobSet>({
    apiVersion: 'jobset.x-k8s.io/v1alpha2',
    kind: 'JobSet',
    plural: 'jobsets',
    namespaced: true,
  }),
  render: (input) => {
    const name = objectNameOf(input.spec.runId, input.spec.attempt);
    return {
      suspend: true,
      failurePolicy: { maxRestarts: 0 },
      // What its webhook would add, so that what was asked for is what is there.
      successPolicy: { operator: 'All' },
      startupPolicy: { startupPolicyOrder: 'AnyOrder' },
      network: { enableDNSHostnames: true, publishNotReadyAddresses: true },
      ttlSecondsAfterFinished: input.profile.ttlSeconds,
      replicatedJobs: [
        {
          ...{ name: NODES, replicas: 1 },
          template: {
            metadata: { labels: labelsOf(input.spec) },
            spec: renderJobSpec(input, { firstPod: `${JOB_SET.jobOf(name)}-0.${name}` }),
          },
        },
      ],
    };
  },
  viewOf: (jobSet) => {
    const { apiVersion, kind, metadata, spec } = jobSet;
    const completions = spec?.replicatedJobs?.[0]?.template?.spec?.completions;
    return {
      ...(apiVersion !== undefined && { apiVersion }),
      ...(kind !== undefined && { kind }),
      ...(metadata && { metadata }),
      spec: {
        ...(spec?.suspend !== undefined && { suspend: spec.suspend }),
        ...(completions !== undefined && { completions }),
      },
      status: { ...startTimeOf(jobSet), conditions: conditionsAsOfJob(jobSet) },
    };
  },
  jobOf: (name) => `${name}-${NODES}-0`,
  bringsService: true,
};

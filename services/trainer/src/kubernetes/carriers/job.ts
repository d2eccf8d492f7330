import { JOBS } from '@luthier/kube';
import type { V1Job } from '@luthier/kube';
import { objectNameOf } from '../names.js';
import { renderPodTemplate } from '../render/pod.js';
import type { PodNaming } from '../render/pod.js';
import type { Carrier, RenderInput } from './carrier.js';

type JobSpec = NonNullable<V1Job['spec']>;

/** An Indexed Job of Kubernetes itself. */
export const JOB: Carrier<V1Job> = {
  resource: JOBS,
  render: (input) => {
    const name = objectNameOf(input.spec.runId, input.spec.attempt);
    return {
      suspend: true,
      ...renderJobSpec(input, { firstPod: `${name}-0.${name}`, subdomain: name }),
      ttlSecondsAfterFinished: input.profile.ttlSeconds,
    };
  },
  viewOf: ({ spec, ...job }) => ({
    ...job,
    spec: {
      ...(spec?.suspend !== undefined && { suspend: spec.suspend }),
      ...(spec?.completions !== undefined && { completions: spec.completions }),
    },
  }),
  jobOf: (name) => name,
  bringsService: false,
};

/** Nothing is retried by Kubernetes; only training decides on the next attempt. */
export function renderJobSpec(input: RenderInput, naming: PodNaming): JobSpec {
  const { nodes } = input.spec.resources;
  return {
    completionMode: 'Indexed',
    completions: nodes,
    parallelism: nodes,
    backoffLimit: 0,
    podReplacementPolicy: 'Failed',
    template: renderPodTemplate(input, naming),
  };
}

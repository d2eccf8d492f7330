import { Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import type { V1Pod } from '@luthier/kube';

export interface RunPod {
  readonly runId: string;
  readonly pod: V1Pod;
}

/**
 * Which pods are of which run: what joins the figures of a node's exporters to runs. Every replica says the same, and a pod
 * that has ended leaves no series behind.
 */
export function tellRunPods(
  registry: Registry,
  parts: { namespace: string; deviceResources: ReadonlySet<string>; pods: () => readonly RunPod[] },
): void {
  const { namespace, deviceResources, pods } = parts;
  const labelsOf = ({ runId, pod }: RunPod): Record<'namespace' | 'pod' | 'run_id', string> => ({
    ...{ namespace, pod: pod.metadata?.name ?? '' },
    run_id: runId,
  });
  new Gauge({
    name: 'luthier_run_pod_info',
    help: '1 for each pod of a run that has not ended, with its run and its node.',
    labelNames: ['namespace', 'pod', 'run_id', 'node'],
    registers: [registry],
    collect() {
      this.reset();
      for (const found of pods()) this.set({ ...labelsOf(found), node: found.pod.spec?.nodeName ?? '' }, 1);
    },
  });
  new Gauge({
    name: 'luthier_run_pod_devices',
    help: 'Devices that a pod of a run holds.',
    labelNames: ['namespace', 'pod', 'run_id'],
    registers: [registry],
    collect() {
      this.reset();
      for (const found of pods()) this.set(labelsOf(found), devicesOf(found.pod, deviceResources));
    },
  });
}

const devicesOf = ({ spec }: V1Pod, deviceResources: ReadonlySet<string>): number =>
  (spec?.containers ?? [])
    .flatMap(({ resources }) => Object.entries(resources?.limits ?? {}))
    .reduce((sum, [resource, count]) => sum + (deviceResources.has(resource) ? Number(count) : 0), 0);

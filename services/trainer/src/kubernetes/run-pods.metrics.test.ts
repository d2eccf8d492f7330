import { describe, expect, it } from '@jest/globals';
import type { V1Pod } from '@luthier/kube';
import { Registry } from 'prom-client';
import { RunObjects } from './run-objects.js';
import { labelsOf } from './names.js';
import { tellRunPods } from './run-pods.metrics.js';

const key = { runId: 'run-aaaaaaaaaaaaaaaaaaaa', attempt: 2 };
const podIn = (phase: string): V1Pod => ({
  metadata: { name: 'ft-a-2-0-x', uid: 'p', labels: labelsOf(key) },
  spec: {
    nodeName: 'gpu-1',
    containers: [
      { name: 'node', resources: { limits: { 'nvidia.com/gpu': '8', cpu: '4', memory: '64Gi' } } },
      { name: 'beside', resources: { limits: { cpu: '1' } } },
    ],
  },
  status: { phase },
});

describe('the metrics of pods of runs', () => {
  it('name the run and the node of each pod with its devices, until it ends', async () => {
    let show: (pod: V1Pod) => void = () => undefined;
    const none = { onChange: () => () => undefined };
    const objects = new RunObjects(
      {
        ...{ roots: [], nodes: none },
        pods: { onChange: (listener) => ((show = (pod) => listener('', pod, undefined)), () => undefined) },
      },
      () => undefined,
    );
    const registry = new Registry();
    tellRunPods(registry, {
      namespace: 'tune',
      deviceResources: new Set(['nvidia.com/gpu']),
      pods: () => objects.livePods(),
    });
    const told = async (): Promise<string[]> =>
      (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));

    show(podIn('Running'));
    const pod = `namespace="tune",pod="ft-a-2-0-x",run_id="${key.runId}"`;
    expect(await told()).toEqual([`luthier_run_pod_info{${pod},node="gpu-1"} 1`, `luthier_run_pod_devices{${pod}} 8`]);
    show(podIn('Succeeded'));
    expect(await told()).toEqual([]);
  });
});

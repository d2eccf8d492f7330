import { describe, expect, it } from '@jest/globals';
import type { KubeObject } from '@luthier/kube';
import type { Root } from './carriers/carrier.js';
import type { KueueWorkload } from './explain/index.js';
import { RunWorkloads } from './run-workloads.js';

type Workload = KubeObject & Pick<KueueWorkload, 'spec' | 'status'>;
type Listener = (key: string, now: Workload | undefined, before: Workload | undefined) => void;

function watched(): { workloads: RunWorkloads; put: Listener; told: string[] } {
  const listeners: Listener[] = [];
  const told: string[] = [];
  const onChange = (listener: Listener) => {
    listeners.push(listener);
    return () => undefined;
  };
  const workloads = new RunWorkloads({ onChange }, (uid) => told.push(uid));
  return { workloads, told, put: (...change) => listeners.forEach((listener) => listener(...change)) };
}

const workload = (uid: string, minute: number, spec: Workload['spec'] = {}, admitted = false): Workload => ({
  metadata: {
    name: `job-${uid}`,
    labels: { 'kueue.x-k8s.io/job-uid': uid },
    creationTimestamp: `2026-01-01T00:0${minute}:00Z`,
  },
  spec: { queueName: 'team', priority: 0, ...spec },
  status: {
    conditions: admitted ? [{ type: 'Admitted', status: 'True' }] : [],
    accumulatedPastExecutionTimeSeconds: 90,
  },
});
const jobWith = (uid: string): Root => ({ metadata: { uid } });

describe('the records that Kueue keeps of runs', () => {
  it('give each run its place: the more urgent first, then the older, then as they came, without what waits no more', () => {
    const { workloads, put } = watched();
    const all = {
      running: workload('running', 0, {}, true),
      young: workload('young', 3),
      same: workload('same', 3),
      old: workload('old', 1),
      urgent: workload('urgent', 4, { priority: 10 }),
      elsewhere: workload('elsewhere', 0, { queueName: 'other' }),
      off: workload('off', 0, { active: false }),
    };
    for (const [key, one] of Object.entries(all)) put(key, one, undefined);
    const places = ['urgent', 'old', 'young', 'same'] as const;
    expect(places.map((name) => workloads.positionOf(all[name]))).toEqual([1, 2, 3, 4]);
    expect(workloads.positionOf(all.elsewhere)).toBe(1);
    put('old', undefined, all.old);
    expect(places.slice(2).map((name) => workloads.positionOf(all[name]))).toEqual([2, 3]);
  });

  it('tell of the run that changed, and how long it ran before it was last suspended', () => {
    const { workloads, put, told } = watched();
    put('a', workload('a', 1), undefined);
    expect(told).toEqual(['a']);
    expect(workloads.pastSecondsOf(jobWith('a'))).toBe(90);
    expect(workloads.pastSecondsOf(jobWith('b'))).toBe(0);
  });
});

import { describe, expect, it } from '@jest/globals';
import { nodeObject, podObject } from '../../testing/cluster-objects.js';
import { cpuProfile, gpuProfile } from '../../testing/cluster-profiles.js';
import type { SnapshotInput } from '../inventory/snapshot.js';
import { takeSnapshot } from '../inventory/snapshot.js';
import { checkProfile, checkQueues, checkQuota, checkWatches } from './check-devices.js';

const cluster = (over: Partial<SnapshotInput> = {}) =>
  takeSnapshot({ namespace: 'runs', nodes: [nodeObject('gpu-1')], pods: [], ...over });
const states = (checks: readonly { state: string }[]): string[] => checks.map(({ state }) => state);
const quota = (hard: string, used: string) => ({
  resourceQuotas: [
    {
      metadata: { name: 'team', namespace: 'runs' },
      status: { hard: { 'requests.nvidia.com/gpu': hard }, used: { 'requests.nvidia.com/gpu': used } },
    },
  ],
});
const queue = (over: object = {}) => ({
  localQueues: [{ metadata: { name: 'team-a', namespace: 'runs' }, spec: { clusterQueue: 'all', ...over } }],
});

describe('what the doctor says of devices and places', () => {
  it('finds nothing wrong with labelled devices that are free', () => {
    expect(checkProfile(gpuProfile(), cluster())).toEqual([
      {
        ...{ topic: 'devices', profile: 'gpu', id: 'devices-there', state: 'ok', obstacle: null },
        params: { count: 8, resource: 'nvidia.com/gpu', nodes: 1 },
        ...{ check: 'devices of gpu', message: '8 x nvidia.com/gpu on 1 node.', fix: null },
      },
      {
        ...{ topic: 'place', profile: 'gpu', id: 'place-now', state: 'ok', params: {}, obstacle: null },
        ...{ check: 'a place for gpu', message: 'The smallest run could start now.', fix: null },
      },
    ]);
  });

  it('does not ask for devices where a profile trains on the CPU', () => {
    expect(states(checkProfile(cpuProfile(), cluster()))).toEqual(['ok']);
  });

  it('fails where no node offers the device, unless nodes come on demand', () => {
    const bare = cluster({ nodes: [nodeObject('cpu-1', { gpus: 0 })] });
    expect(checkProfile(gpuProfile(), bare)).toMatchObject([
      { id: 'devices-missing', state: 'fail' },
      { id: 'place-never', state: 'fail', obstacle: { reason: 'no-devices', nearest: null } },
    ]);
    expect(checkProfile(gpuProfile({ autoscaled: true }), bare)).toMatchObject([
      { id: 'devices-to-come', state: 'warn' },
      { id: 'place-later', state: 'warn', obstacle: { reason: 'nodes-to-come' } },
    ]);
  });

  it('warns of nodes that do not tell what their devices are, where runs are placed by that', () => {
    const silent = cluster({ nodes: [nodeObject('n', { gpus: 0, allocatable: { 'nvidia.com/gpu': '8' } })] });
    const [devices] = checkProfile(gpuProfile(), silent);
    expect(devices).toMatchObject({ id: 'devices-unlabelled', state: 'warn', params: { count: 8, nodes: 'n' } });
    expect(states(checkProfile(gpuProfile({ deviceLabels: 'none' }), silent))).toEqual(['ok', 'ok']);
  });

  it('tells a cluster that is busy from one in which nothing ever fits, with what to change', () => {
    const pods = [podObject('a', { 'nvidia.com/gpu': '8' }, { node: 'gpu-1' })];
    expect(checkProfile(gpuProfile(), cluster({ pods }))[1]).toMatchObject({
      ...{ id: 'place-later', state: 'warn', obstacle: { reason: 'devices-busy', params: { free: 0 } } },
    });
    expect(checkProfile(gpuProfile({ cpus: 500 }), cluster())[1]).toMatchObject({
      ...{ id: 'place-never', state: 'fail', obstacle: { reason: 'not-enough-cpu' } },
      fix: 'Lower `cpus` of the profile: no node has as many.',
    });
    expect(checkProfile(gpuProfile(), cluster(quota('0', '0')))[1]).toMatchObject({
      ...{ id: 'place-never', state: 'fail', obstacle: { reason: 'quota-exceeded' } },
      fix: expect.stringContaining('Raise the quota'),
    });
  });

  it('warns of a quota that is used up', () => {
    expect(checkQuota(cluster())).toMatchObject({ id: 'quota-none', state: 'ok' });
    expect(checkQuota(cluster(quota('4', '3')))).toMatchObject({ id: 'quota-left', state: 'ok' });
    expect(checkQuota(cluster(quota('4', '4')))).toMatchObject({
      ...{ id: 'quota-spent', state: 'warn', params: { limits: 'team: requests.nvidia.com/gpu 4/4' } },
    });
  });

  it('fails where profiles name queues that are not there', () => {
    const queued = [gpuProfile({ queue: 'team-a' })];
    const stopped = cluster(queue({ stopPolicy: 'Hold' }));
    expect(checkQueues([gpuProfile()], cluster())).toMatchObject({ id: 'queues-unused', state: 'ok' });
    expect(checkQueues(queued, cluster())).toMatchObject({ id: 'queueing-missing', state: 'fail' });
    expect(checkQueues(queued, cluster(queue()))).toMatchObject({ id: 'queues-known', state: 'ok' });
    expect(checkQueues([gpuProfile({ queue: 'other' })], cluster(queue()))).toMatchObject({
      ...{ id: 'queues-unknown', state: 'fail', params: { queues: 'other', namespace: 'runs' } },
    });
    expect(checkQueues(queued, stopped)).toMatchObject({ id: 'queues-stopped', params: { queues: 'team-a' } });
  });

  it('warns of watches that are not connected', () => {
    const watch = (connected: boolean) => ({ name: 'nodes', connected, lastSyncAgeMs: 1 });
    expect(checkWatches([watch(true)])).toMatchObject({ id: 'watches-connected', state: 'ok' });
    expect(checkWatches([watch(false)])).toMatchObject({
      ...{ id: 'watches-lost', state: 'warn', params: { watches: 'nodes' } },
    });
  });
});

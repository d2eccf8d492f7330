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
      { check: 'devices of gpu', state: 'ok', message: '8 x nvidia.com/gpu on 1 node.', fix: null },
      { check: 'a place for gpu', state: 'ok', message: 'The smallest run could start now.', fix: null },
    ]);
  });

  it('does not ask for devices where a profile trains on the CPU', () => {
    expect(states(checkProfile(cpuProfile(), cluster()))).toEqual(['ok']);
  });

  it('fails where no node offers the device, unless nodes come on demand', () => {
    const bare = cluster({ nodes: [nodeObject('cpu-1', { gpus: 0 })] });
    expect(states(checkProfile(gpuProfile(), bare))).toEqual(['fail', 'fail']);
    expect(states(checkProfile(gpuProfile({ autoscaled: true }), bare))).toEqual(['warn', 'warn']);
  });

  it('warns of nodes that do not tell what their devices are, where runs are placed by that', () => {
    const silent = cluster({ nodes: [nodeObject('n', { gpus: 0, allocatable: { 'nvidia.com/gpu': '8' } })] });
    const [devices] = checkProfile(gpuProfile(), silent);
    expect(devices).toMatchObject({ state: 'warn', fix: expect.stringContaining('GPU feature discovery') });
    expect(states(checkProfile(gpuProfile({ deviceLabels: 'none' }), silent))).toEqual(['ok', 'ok']);
  });

  it('tells a cluster that is busy from one in which nothing ever fits, with what to change', () => {
    const pods = [podObject('a', { 'nvidia.com/gpu': '8' }, { node: 'gpu-1' })];
    expect(checkProfile(gpuProfile(), cluster({ pods }))[1]).toMatchObject({ state: 'warn' });
    expect(checkProfile(gpuProfile({ cpus: 500 }), cluster())[1]).toMatchObject({
      state: 'fail',
      fix: 'Lower `cpus` of the profile: no node has as many.',
    });
    expect(checkProfile(gpuProfile(), cluster(quota('0', '0')))[1]).toMatchObject({
      state: 'fail',
      fix: expect.stringContaining('Raise the quota'),
    });
  });

  it('warns of a quota that is used up', () => {
    expect(checkQuota(cluster()).state).toBe('ok');
    expect(checkQuota(cluster(quota('4', '3'))).state).toBe('ok');
    expect(checkQuota(cluster(quota('4', '4')))).toMatchObject({
      state: 'warn',
      message: 'Used up: requests.nvidia.com/gpu of "team" (4 of 4).',
    });
  });

  it('fails where profiles name queues that are not there', () => {
    const queued = [gpuProfile({ queue: 'team-a' })];
    expect(checkQueues([gpuProfile()], cluster()).state).toBe('ok');
    expect(checkQueues(queued, cluster())).toMatchObject({
      state: 'fail',
      fix: expect.stringContaining('Install Kueue'),
    });
    expect(checkQueues(queued, cluster(queue())).state).toBe('ok');
    expect(checkQueues([gpuProfile({ queue: 'other' })], cluster(queue())).state).toBe('fail');
    expect(checkQueues(queued, cluster(queue({ stopPolicy: 'Hold' }))).state).toBe('warn');
  });

  it('warns of watches that are not connected', () => {
    const watch = (connected: boolean) => ({ name: 'nodes', connected, lastSyncAgeMs: 1 });
    expect(checkWatches([watch(true)]).state).toBe('ok');
    expect(checkWatches([watch(false)])).toMatchObject({ state: 'warn', message: expect.stringContaining('nodes') });
  });
});

import { describe, expect, it } from '@jest/globals';
import type { Obstacle } from '../api/jobs';
import { obstacleOf, obstacleTold, waitsFor } from './obstacle-told';

const obstacle: Obstacle = {
  reason: 'quota-exceeded',
  params: { quota: 'team', resource: 'requests.nvidia.com/gpu', hard: 2, used: 1, needed: 4 },
  nearest: { nodes: 1, devices_per_node: 2, device_type: null, other_type: false, without_queue: false },
};

describe('what is in the way of a run', () => {
  it('is told with its amounts in words, and with what would fit', () => {
    const [said, advice] = obstacleTold(obstacle);
    expect(said).toMatchObject({ key: 'fit.quota-exceeded', values: { quota: 'team' } });
    expect(said?.parts?.['needed']).toEqual({ key: 'amount.gpu', values: { count: 4 } });
    expect(advice).toMatchObject({ key: 'advice.shape', parts: { shape: { values: { nodes: 1, devices: 2 } } } });
  });

  it('has memory in the reader’s units, and leaves out what is empty', () => {
    const params = { quota: 'team', resource: 'limits.memory', hard: 2_048, used: 0, needed: 4_096 };
    expect(obstacleTold({ ...obstacle, params })[0]).toMatchObject({ mib: { hard: 2_048, used: 0, needed: 4_096 } });
    const unknown: Obstacle = {
      ...{ reason: 'device-memory-too-small', nearest: null },
      params: { neededMib: 4_096, largestMib: '' },
    };
    expect(obstacleTold(unknown)).toMatchObject([{ mib: { neededMib: 4_096 }, values: { largestMib: 'none' } }]);
  });

  it('is that of a job’s plan only while the job says the same', () => {
    const plan = { message: 'Quota "team": ...', obstacle };
    expect(waitsFor({ message: plan.message, plan })).toBe(obstacle);
    expect(waitsFor({ message: 'One job waits before this one.', plan })).toBeNull();
    expect(waitsFor({ message: plan.message, plan: { message: plan.message } })).toBeNull();
    expect(waitsFor({ message: '', plan: null })).toBeNull();
  });

  it('is found in the data of an event', () => {
    expect(obstacleOf({ obstacle })).toBe(obstacle);
    expect(obstacleOf({ code: 'plan.does-not-fit' })).toBeNull();
    expect(obstacleOf({ obstacle: 'none' })).toBeNull();
    expect(obstacleOf(null)).toBeNull();
  });
});

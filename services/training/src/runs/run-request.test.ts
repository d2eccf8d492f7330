import { describe, expect, it } from '@jest/globals';
import { newId } from '@luthier/contracts';
import { advise } from '@luthier/planner';
import type { Job } from '../jobs/job.js';
import { buildRunRequest } from './run-request.js';
import type { Profile } from './run-request.js';

const { tuning, hyperparameters } = advise({
  ...{ shape: null, rows: null },
  requested: { method: { type: 'supervised' }, hyperparameters: {}, tuning: null, cutoffLength: null },
});
const artifact = { uri: 'artifact://models/x', sha256: 'a'.repeat(64) };
const job = {
  ...{ id: newId('job'), tuning, hyperparameters, seed: 1, memoryCapMib: null, heldOut: null },
  request: { method: { type: 'supervised' } },
  plan: { steps: 10, totalMib: 18_000 },
  base: { weights: artifact },
  train: { artifact },
} as unknown as Job;
const cpu = { devices: 0, cpus: 4, memoryMib: 64_000 } as Profile;
const gpu = { devices: 1, cpus: 4, memoryMib: 80_000, hostMemoryMib: 128_000 } as Profile;

const limitsOf = (changed: Partial<Job>, profile: Profile) =>
  buildRunRequest({ ...job, ...changed }, profile, { deadlineSeconds: 60 }).limits;

describe('what a run is asked to do', () => {
  it('bounds a run by all that its profile gives', () => {
    expect(limitsOf({}, cpu)).toEqual({ memoryMib: 64_000, cpu: 4, deadlineSeconds: 60 });
    expect(limitsOf({}, gpu)).toEqual({ memoryMib: 128_000, cpu: 4, deadlineSeconds: 60 });
  });

  it('bounds a run that is tried again in less memory: by that of its machine, or by that of its GPUs', () => {
    expect(limitsOf({ memoryCapMib: 20_000 }, cpu)).toMatchObject({ memoryMib: 20_000 });
    expect(limitsOf({ memoryCapMib: 20_000 }, gpu)).toMatchObject({ memoryMib: 128_000, deviceMemoryMib: 20_000 });
  });

  it('never bounds a run by less than it was planned with', () => {
    expect(limitsOf({ memoryCapMib: 10_000 }, cpu)).toMatchObject({ memoryMib: 18_000 });
    expect(limitsOf({ memoryCapMib: 10_000 }, gpu)).toMatchObject({ deviceMemoryMib: 18_000 });
  });
});

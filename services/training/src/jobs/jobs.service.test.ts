import { describe, expect, it } from '@jest/globals';
import { newId } from '@luthier/contracts';
import type { MessageBus } from '@luthier/messaging';
import type { Projector } from '../runs/projector.js';
import { newRun } from '../runs/run.js';
import type { Run } from '../runs/run.js';
import type { Job } from './job.js';
import type { JobWorker } from './job-worker.js';
import type { JobStore, JobTransaction } from './job.store.js';
import { JobsService } from './jobs.service.js';

const id = newId('job');
const job = { id, status: 'running', phase: 'scheduling', intent: 'run', runId: newId('run'), revision: 1 } as Job;
const admittedRun = newRun({
  id: job.runId ?? '',
  jobId: id,
  stopGraceSeconds: 60,
  requestUri: 'artifact://runs/x/request.json',
  requestSha256: 'a'.repeat(64),
  resources: { nodes: 1, devicesPerNode: 0, deviceMemoryMib: 0, cpu: 2, memoryMib: 1, scratchMib: 0 },
  runtime: 'node',
  profile: 'local-cpu',
  priority: 0,
  deadlineSeconds: 60,
});

function serviceWith(tx: { job: Job; run: Run }): JobsService {
  const transaction = {
    get job() {
      return tx.job;
    },
    get run() {
      return tx.run;
    },
    saveJob: async (saved: Job) => void (tx.job = saved),
    saveRun: async (saved: Run) => void (tx.run = saved),
    event: () => Promise.resolve(),
    announce: () => Promise.resolve(),
  };
  const jobs = {
    change: (_id: string, act: (given: JobTransaction) => Promise<unknown>) =>
      act(transaction as unknown as JobTransaction),
  };
  return new JobsService(
    jobs as unknown as JobStore,
    {} as MessageBus,
    { wake: () => undefined } as unknown as JobWorker,
    { project: () => Promise.resolve() } as unknown as Projector,
  );
}

describe.each(['pause', 'cancel'] as const)('%s', (verb) => {
  it('between admission and projection leaves no run that the trainer would start', async () => {
    const state = { job, run: admittedRun };
    expect(state.run.projectedGeneration).toBe(0);
    await serviceWith(state)[verb](id);
    expect(state.run.desired === 'stopped' || state.run.closed).toBe(true);
    // Whatever is projected of a run that is not closed, its end must still be listened to.
    expect(state.run.closed || state.run.live).toBe(true);
  });
});

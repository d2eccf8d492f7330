import { describe, expect, it } from '@jest/globals';
import { newId } from '@luthier/contracts';
import type { RunStatus } from '@luthier/contracts';
import type { Job } from '../jobs/job.js';
import type { JobTransaction } from '../jobs/job.store.js';
import { moveTo, tellStatus } from './run-phase.js';

const status = (patch: Partial<RunStatus>): RunStatus => ({
  runId: newId('run'),
  attempt: 1,
  incarnation: 0,
  observedGeneration: 1,
  phase: 'scheduling',
  reason: 'process-starting',
  message: '',
  pods: [],
  ...patch,
});
const waiting = status({
  reason: 'waiting-for-gpus',
  message: 'Waiting for GPUs: needs 8 on one node.',
  params: { needed: 8 },
  excerpt: '0/2 nodes are available',
});

/** The job after these statuses, and how often it was written. */
async function after(first: Partial<Job>, ...statuses: RunStatus[]): Promise<{ job: Job; writes: number }> {
  const base = { id: newId('job'), status: 'running', phase: 'scheduling', intent: 'run', message: 'm', revision: 1 };
  let job = { ...base, ...first } as Job;
  let writes = 0;
  const tx = {
    get job() {
      return job;
    },
    saveJob: (next: Job) => {
      job = next;
      writes += 1;
      return Promise.resolve();
    },
  } as unknown as JobTransaction;
  for (const each of statuses) await tellStatus(tx, each);
  return { job, writes };
}

describe('a status of the trainer', () => {
  it('tells why the run waits, with its values and the cluster’s words', async () => {
    const { job } = await after({}, waiting);
    expect(job.message).toBe('Waiting for GPUs: needs 8 on one node.');
    expect(job.placement).toEqual({
      reason: 'waiting-for-gpus',
      params: { needed: 8 },
      message: 'Waiting for GPUs: needs 8 on one node.',
      excerpt: '0/2 nodes are available',
    });
  });

  it('that says the same again changes nothing', async () => {
    expect((await after({}, waiting, waiting)).writes).toBe(1);
  });

  it('is forgotten when the run goes on', async () => {
    const { job } = await after({}, waiting, status({ phase: 'running', reason: 'process-running' }));
    expect(job).toMatchObject({ phase: 'starting', placement: null, message: 'Loading model and data' });
  });

  it('sets a run back that a queue has suspended, with its reason, and lets it come forward again', async () => {
    const preempted = status({
      ...{ phase: 'queued', reason: 'preempted', incarnation: 1 },
      message: 'Paused for a more urgent run at step 4; resumes by itself.',
      params: { step: 4 },
    });
    const { job } = await after({ phase: 'training' }, preempted);
    expect(job).toMatchObject({
      phase: 'scheduling',
      message: preempted.message,
      placement: { reason: 'preempted', params: { step: 4 } },
    });
    const { job: again } = await after(job, status({ phase: 'starting', incarnation: 2 }));
    expect(again).toMatchObject({ phase: 'starting', placement: null });
  });

  it('keeps the words of a stop that the user asked for', async () => {
    const { job } = await after({ intent: 'cancel', message: 'Cancelling' }, waiting);
    expect(job).toMatchObject({ message: 'Cancelling', placement: { reason: 'waiting-for-gpus' } });
  });

  it('of an end is kept for whoever reads why', async () => {
    const { job } = await after({}, waiting, status({ phase: 'ended', reason: 'image-pull', message: 'No image.' }));
    expect(job).toMatchObject({ placement: { reason: 'image-pull' } });
  });

  it.each(['node-lost', 'stalled'] as const)(
    'says that something is wrong with what carries a run while it trains (%s), and no more once that is over',
    async (reason) => {
      const carried = { phase: 'running', reason, message: 'm2', params: { node: 'gpu-1' } } as const;
      const { job } = await after({ phase: 'training', message: 'Training' }, status(carried));
      expect(job).toMatchObject({ phase: 'training', message: 'Training', placement: { reason } });
      const { job: again } = await after(job, status({ phase: 'running', reason: 'process-running' }));
      expect(again).toMatchObject({ phase: 'training', message: 'Training', placement: null });
    },
  );

  it('of a wait is over when the run itself says that it trains', async () => {
    const { job } = await after({}, waiting);
    const saved: Job[] = [];
    const tx = { job, saveJob: (next: Job) => Promise.resolve(void saved.push(next)) } as unknown as JobTransaction;
    await moveTo(tx, 'training');
    expect(saved).toMatchObject([{ phase: 'training', placement: null }]);
  });

  it('leaves a finished job as it is', async () => {
    expect((await after({ status: 'failed' }, waiting)).writes).toBe(0);
  });
});

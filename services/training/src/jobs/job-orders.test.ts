import { describe, expect, it } from '@jest/globals';
import { newId } from '@luthier/contracts';
import type { MessageBus } from '@luthier/messaging';
import type { Projector } from '../runs/projector.js';
import { newRun, nextAttempt } from '../runs/run.js';
import type { Run } from '../runs/run.js';
import type { RunStore } from '../runs/run.store.js';
import type { Job } from './job.js';
import { JobOrders } from './job-orders.js';
import type { JobStore, JobTransaction } from './job.store.js';
import type { JobWorker } from './job-worker.js';

const id = newId('job');
const job = {
  ...{ id, status: 'running', phase: 'scheduling', intent: 'run', runId: newId('run'), revision: 1 },
  request: { resources: null, queue: null },
} as Job;
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

interface State {
  job: Job;
  run: Run;
  events?: string[];
  /** The nodes that could hold the run; absent: the trainer does not say. */
  places?: string[];
}
type Asked = { withoutNodes?: string[] };

/** The trainer's: where the run is, or whether it has a place without some nodes. */
function answerTo({ withoutNodes = [] }: Asked, { places, run }: State): object {
  const canEverFit = places?.some((name) => !withoutNodes.includes(name));
  const why = { reason: 'node-too-small', params: { devicesPerNode: 8, largest: 4 }, nearest: null };
  const fit = { canEverFit, message: 'No other node is large enough.', ...why };
  return { nodes: [`gpu-${run.attempt}`], answers: places ? [{ profile: run.profile, fit }] : [] };
}

function ordersOn(tx: State): JobOrders {
  const transaction = {
    get job() {
      return tx.job;
    },
    get run() {
      return tx.run;
    },
    saveJob: async (saved: Job) => void (tx.job = saved),
    saveRun: async (saved: Run) => void (tx.run = saved),
    event: async ({ message }: { message: string }) => void tx.events?.push(message),
    announce: () => Promise.resolve(),
  };
  const jobs = {
    get: () => Promise.resolve(tx.job),
    change: (_id: string, act: (given: JobTransaction) => Promise<unknown>) =>
      act(transaction as unknown as JobTransaction),
  };
  return new JobOrders(
    jobs as unknown as JobStore,
    { get: () => Promise.resolve(tx.run) } as unknown as RunStore,
    { request: (_what: unknown, asked: Asked) => Promise.resolve(answerTo(asked, tx)) } as unknown as MessageBus,
    { wake: () => undefined } as unknown as JobWorker,
    { project: () => Promise.resolve() } as unknown as Projector,
  );
}

describe.each(['pause', 'cancel'] as const)('%s', (verb) => {
  it('between admission and projection leaves no run that the trainer would start', async () => {
    const state = { job, run: admittedRun };
    expect(state.run.projectedGeneration).toBe(0);
    await ordersOn(state)[verb](id);
    expect(state.run.desired === 'stopped' || state.run.closed).toBe(true);
    // Whatever is projected of a run that is not closed, its end must still be listened to.
    expect(state.run.closed || state.run.live).toBe(true);
  });

  it('takes the place of a restart that was ordered before', async () => {
    const state = { job, run: admittedRun };
    await ordersOn(state).restart(id, { avoidNode: true });
    await ordersOn(state)[verb](id);
    expect(state).toMatchObject({ job: { intent: verb }, run: { desired: 'stopped', stopReason: verb } });
  });
});

describe('restart', () => {
  const elsewhere = { avoidNode: true };

  it('ends the attempt there is, and notes the nodes to keep away from', async () => {
    const state = { job, run: admittedRun, events: [] };
    await ordersOn(state).restart(id, elsewhere);
    expect(state.run).toMatchObject({ attempt: 1, desired: 'stopped', stopReason: 'restart', avoidNodes: ['gpu-1'] });
    expect(state.job).toMatchObject({ status: 'running', intent: 'restart', message: 'Restarting' });
    expect(state.events).toEqual(['Restarting elsewhere: attempt 1 on gpu-1 is being ended']);
  });

  it('on the same node forgets what was avoided before', async () => {
    const state = { job, run: { ...admittedRun, avoidNodes: ['gpu-0'] } };
    await ordersOn(state).restart(id, { avoidNode: false });
    expect(state.run).toMatchObject({ stopReason: 'restart', avoidNodes: [] });
  });

  it('asked for twice, or again when the attempt meant has ended, changes nothing', async () => {
    const state = { job, run: admittedRun };
    await ordersOn(state).restart(id, elsewhere);
    const once = { ...state };
    await ordersOn(state).restart(id, elsewhere);
    expect(state).toEqual(once);
    const next = { job, run: nextAttempt(admittedRun) };
    await ordersOn(next).restart(id, { ...elsewhere, attempt: 1 });
    expect(next.run).toMatchObject({ attempt: 2, desired: 'running' });
    const over = { job: { ...job, status: 'succeeded', phase: 'done' } as Job, run: nextAttempt(admittedRun) };
    await ordersOn(over).restart(id, { ...elsewhere, attempt: 1 });
    expect(over.job.status).toBe('succeeded');
  });

  it('is refused when no other node could ever hold the run, unless it may stay where it is', async () => {
    const state = { job, run: admittedRun, places: ['gpu-1'] };
    await expect(ordersOn(state).restart(id, elsewhere)).rejects.toMatchObject({
      ...{ code: 'job.not-restartable', param: 'avoid_node' },
      message: 'Without gpu-1 it has no place: No other node is large enough.',
      obstacle: { reason: 'node-too-small', params: { devicesPerNode: 8, largest: 4 }, nearest: null },
    });
    expect(state.run.desired).toBe('running');
    await ordersOn(state).restart(id, { avoidNode: false });
    expect(state.run.desired).toBe('stopped');
  });

  it('goes back to a node that it has left before only where no other is left', async () => {
    const second = nextAttempt({ ...admittedRun, avoidNodes: ['gpu-1'] });
    const among = async (...places: string[]): Promise<string[]> => {
      const state = { job, run: second, places };
      await ordersOn(state).restart(id, elsewhere);
      return state.run.avoidNodes;
    };
    expect(await among('gpu-1', 'gpu-2', 'gpu-3')).toEqual(['gpu-1', 'gpu-2']);
    expect(await among('gpu-1', 'gpu-2')).toEqual(['gpu-2']);
  });

  it.each<[string, Partial<Job>, Partial<Run>, number | undefined, RegExp]>([
    ['waits in the queue', { status: 'queued', phase: 'queued' }, { live: false }, undefined, /has no attempt to end/],
    ['is paused', { status: 'paused', phase: 'queued' }, { live: false }, undefined, /paused .* has no attempt/],
    ['has succeeded', { status: 'succeeded', phase: 'done' }, { live: false }, undefined, /succeeded/],
    ['is evaluated', { phase: 'evaluating' }, { live: false }, undefined, /evaluating/],
    ['is being cancelled', { intent: 'cancel' }, {}, undefined, /being cancelled/],
    ['is being paused', { intent: 'pause' }, {}, undefined, /being paused/],
    ['has no such attempt yet', {}, {}, 2, /no attempt 2 yet/],
  ])('is refused with a reason for a job that %s', async (_name, jobIs, runIs, attempt, why) => {
    const state = { job: { ...job, ...jobIs }, run: { ...admittedRun, ...runIs } };
    const before = { ...state };
    const refused = await ordersOn(state)
      .restart(id, { ...elsewhere, attempt })
      .catch((cause: unknown) => cause);
    expect(refused).toMatchObject({ code: 'job.not-restartable', message: expect.stringMatching(why) });
    expect(state).toEqual(before);
  });
});

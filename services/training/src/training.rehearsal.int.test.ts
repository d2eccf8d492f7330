import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  cancelJob,
  listJobEvents,
  listJobMetrics,
  pauseJob,
  readJobStream,
  resumeJob,
  runRequest,
} from '@luthier/contracts';
import type { Inventory, JobRecord, RunRequest } from '@luthier/contracts';
import { readArtifact } from '@luthier/artifacts';
import { waitFor } from '@luthier/testing';
import type { AttemptScript } from './testing/fake-peers.js';
import { TrainingFixture } from './testing/training-fixture.js';

let training: TrainingFixture;
let offered: Inventory;
beforeAll(async () => {
  training = await TrainingFixture.start();
  offered = training.peers.inventory;
});
afterAll(() => training.stop());

/** A machine of its own for each test, whose runtime rehearses. */
beforeEach(() => {
  const { peers } = training;
  offer({});
  peers.script.length = 0;
  peers.modes.length = 0;
  peers.fit = {};
  peers.rows = 80;
  peers.longestRowTokens = 100;
});

function offer(
  patch: Partial<Inventory['profiles'][number]>,
  modes: RunRequest['mode'][] = ['train', 'rehearse'],
): void {
  training.peers.inventory = {
    ...offered,
    profiles: offered.profiles.map((one) => ({ ...one, capabilities: { ...one.capabilities, modes }, ...patch })),
  };
}

/** A job whose attempts go by the scripts, one after the other. */
async function rehearsed(...script: AttemptScript[]): Promise<string> {
  training.peers.script.push(...script);
  return training.create({ rehearsal: true });
}
const requestOf = async ({ runId }: Pick<JobRecord, 'runId'>): Promise<RunRequest> =>
  runRequest.parse(
    JSON.parse((await readArtifact(training.peers.store, `artifact://runs/${runId}/request.json`)).toString('utf8')),
  );
const begun = (count: number): Promise<unknown> => waitFor(() => training.peers.modes.length >= count);

describe('a rehearsal', () => {
  it('comes before the run, and what it measured replaces what was estimated', async () => {
    const { bus, peers } = training;
    const jobId = await rehearsed();
    const job = await training.until(jobId, 'succeeded');
    expect(peers.modes).toEqual(['rehearse', 'train']);
    expect(job.rehearsal).toMatchObject({ state: 'done' });
    expect(job.rehearsal?.runId).not.toBe(job.runId);
    const { plan } = job;
    expect(plan?.measured).toEqual({ memoryMib: 900, secondsPerStep: 0.4, tokensPerSecond: 2000, checkpointMib: 12 });
    expect(plan).toMatchObject({ totalMib: 900, estimatedSeconds: Math.round((plan?.tokens ?? 0) / 2000) });
    const notes = plan?.notes.map(({ id }) => id);
    expect(notes).toContain('measured-in-rehearsal');
    expect(notes).not.toContain('time-guessed');

    // Its steps are neither on the curve nor in the live stream, and its attempt is not the run's.
    const { points } = await bus.request(listJobMetrics, { jobId, names: ['loss'] });
    expect(points.map(({ step }) => step)).toEqual(Array.from({ length: peers.totalSteps }, (_, i) => i + 1));
    const { entries } = await bus.request(readJobStream, { jobId, after: 0, limit: 500 });
    const told = entries
      .filter(({ type }) => type === 'metrics')
      .flatMap(({ data }) => data['points'] as { name: string }[]);
    expect(told.filter(({ name }) => name === 'loss')).toHaveLength(peers.totalSteps);
    expect(job.attempts).toHaveLength(1);
    const { items } = await bus.request(listJobEvents, { jobId, limit: 200, order: 'asc' });
    expect(items.map(({ message }) => message)).toContain('The rehearsal took 900 MiB and 0.4 s a step');
  });

  it('is made without being asked where the run takes an hour or more, unless it is declined', async () => {
    const { peers } = training;
    await training.until(await training.create(), 'succeeded');
    expect(peers.modes.splice(0)).toEqual(['train']);
    peers.rows = 20_000;
    await training.until(await training.create(), 'succeeded');
    expect(peers.modes.splice(0)).toEqual(['rehearse', 'train']);
    await training.until(await training.create({ rehearsal: false }), 'succeeded');
    expect(peers.modes.splice(0)).toEqual(['train']);
    offer({}, ['train']);
    await training.until(await training.create(), 'succeeded');
    expect(peers.modes).toEqual(['train']);
  });

  it('is refused by its field where no runtime does it, and for several nodes', async () => {
    await expect(
      training.create({ rehearsal: true, resources: { nodes: 2, devicesPerNode: 1, deviceType: null } }),
    ).rejects.toMatchObject({ code: 'request.unsupported', param: 'rehearsal' });
    offer({}, ['train']);
    await expect(training.create({ rehearsal: true })).rejects.toMatchObject({
      ...{ code: 'model.unsupported', param: 'rehearsal' },
    });
  });

  it('ends the job with its reason, and nothing is trained', async () => {
    const jobId = await rehearsed({ code: 'data.bad', untilStep: 1 });
    const job = await training.until(jobId, 'failed');
    expect(job.error).toMatchObject({ code: 'data.bad', message: 'In the rehearsal: Ended with data.bad.' });
    expect(training.peers.modes).toEqual(['rehearse']);
  });

  it('that took too much memory is tried once more in a slower way, which costs nobody anything but time', async () => {
    const { peers } = training;
    peers.longestRowTokens = 1_024;
    offer({ memoryMib: 64_000, freeMemoryMib: 64_000 });
    const oom: AttemptScript = { code: 'host.out-of-memory', untilStep: 1 };
    const job = await training.until(await rehearsed(oom), 'succeeded');
    expect(peers.modes.splice(0)).toEqual(['rehearse', 'rehearse', 'train']);
    expect((await requestOf(job)).limits.memoryMib).toBeLessThan(64_000);
    expect((await training.until(await rehearsed(oom, oom), 'failed')).error).toMatchObject({
      ...{ code: 'host.out-of-memory', message: expect.stringMatching(/^In the rehearsal: /) },
    });
    expect(peers.modes).toEqual(['rehearse', 'rehearse']);
  });

  it('that infrastructure ended is made again', async () => {
    await training.until(await rehearsed({ code: 'runtime.killed', untilStep: 1 }), 'succeeded');
    expect(training.peers.modes).toEqual(['rehearse', 'rehearse', 'train']);
  });

  it('is cancelled with its job', async () => {
    const { bus, peers } = training;
    const jobId = await rehearsed({ untilStopped: true });
    await begun(1);
    await bus.request(cancelJob, { jobId });
    const job = await training.until(jobId, 'cancelled');
    expect(job.tunedModelId).toBeNull();
    expect(peers.modes).toEqual(['rehearse']);
  });

  it('begins anew when its job was paused and is resumed', async () => {
    const { bus, peers } = training;
    const jobId = await rehearsed({ untilStopped: true });
    await begun(1);
    await bus.request(pauseJob, { jobId });
    await training.until(jobId, 'paused');
    await bus.request(resumeJob, { jobId });
    await training.until(jobId, 'succeeded');
    expect(peers.modes).toEqual(['rehearse', 'rehearse', 'train']);
  });
});

describe('a training that is restarted', () => {
  it('before the rehearsal was admitted begins what was written, whatever it would decide now', async () => {
    const { peers } = training;
    peers.fit = { fitsNow: false, message: 'Not yet.' };
    peers.rows = 20_000;
    const jobId = await training.create();
    const { runId } = await training.until(jobId, 'queued');
    await waitFor(() => peers.store.stat(`artifact://runs/${runId}/request.json`));
    await training.restart();
    offer({}, ['train']);
    peers.fit = {};
    const job = await training.until(jobId, 'succeeded');
    expect(job.rehearsal?.runId).toBe(runId);
    expect(peers.modes).toEqual(['rehearse', 'train']);
  });

  it.each([1, 2])('while attempt %d is at work goes on from there, and begins nothing twice', async (attempts) => {
    const { peers } = training;
    const jobId = await rehearsed();
    await begun(attempts);
    await training.restart();
    await training.until(jobId, 'succeeded');
    expect(peers.modes).toEqual(['rehearse', 'train']);
    expect(peers.registrations.filter((id) => id === jobId).length).toBeGreaterThan(0);
  });

  it('between the rehearsal and the run makes the one run that was decided on', async () => {
    const { peers } = training;
    // What fits is asked as soon as the rehearsal has ended: it does not end before the answer is known here.
    const rehearsal = Promise.withResolvers<void>();
    const jobId = await rehearsed({ saving: rehearsal.promise });
    await begun(1);
    peers.fit = { fitsNow: false, message: 'Not yet.' };
    rehearsal.resolve();
    const waiting = await waitFor(async () => {
      const job = await training.job(jobId);
      return job.rehearsal?.state === 'done' ? job : undefined;
    });
    expect(waiting).toMatchObject({ status: 'queued', attempts: [] });
    await training.restart();
    peers.fit = {};
    const job = await training.until(jobId, 'succeeded');
    expect(job.runId).toBe(waiting.runId);
    expect(peers.modes).toEqual(['rehearse', 'train']);
  });
});

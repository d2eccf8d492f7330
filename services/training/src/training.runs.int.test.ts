import { describe, expect, it, jest } from '@jest/globals';
import {
  FILE_USERS_MAX,
  PRIORITIES,
  cancelJob,
  listFileUsers,
  listJobCheckpoints,
  pauseJob,
  resumeJob,
  runRequest,
} from '@luthier/contracts';
import type { JobRecord, JobRequest } from '@luthier/contracts';
import { readArtifact } from '@luthier/artifacts';
import { Tracing } from '@luthier/service-kit';
import { waitFor } from '@luthier/testing';
import { numbered } from './testing/training-fixture.js';
import type { TrainingFixture } from './testing/training-fixture.js';
import { trainingOfEachTest } from './testing/training-of-each-test.js';

let training: TrainingFixture;
trainingOfEachTest((fresh) => (training = fresh));

describe('a file', () => {
  const users = async (fileId: string, datasetIds: string[] = []): Promise<string[]> =>
    (await training.bus.request(listFileUsers, { fileId, datasetIds })).jobIds;

  it.each(['trainingFile', 'validationFile', 'generalFile', 'mix'] as const)(
    'is used as %s until the job has ended, also while the job is paused',
    async (role) => {
      training.peers.script.push({ untilStep: 3, untilStopped: true });
      const fileId = training.peers.file();
      const { id } = await training.submit({ [role]: role === 'mix' ? { fileId, share: 0.1 } : fileId });
      await waitFor(async () => (await training.job(id)).progress?.step === 3);
      expect(await users(fileId)).toEqual([id]);
      expect(await users(training.peers.file())).toEqual([]);
      await training.bus.request(pauseJob, { jobId: id });
      const { trainDatasetId } = await training.until(id, 'paused');
      expect(await users(fileId)).toEqual([id]);
      expect(await users(training.peers.file(), ['ds-other', trainDatasetId ?? ''])).toEqual([id]);
      await training.bus.request(cancelJob, { jobId: id });
      await training.until(id, 'cancelled');
      expect(await users(fileId)).toEqual([]);
    },
  );

  it('names at most as many users as an answer holds, oldest first, and says that there are more', async () => {
    training.peers.datasetState = 'preparing';
    const trainingFile = training.peers.file();
    const made: string[] = [];
    for (let count = 0; count <= FILE_USERS_MAX; count += 1) made.push((await training.submit({ trainingFile })).id);
    const { jobIds, hasMore } = await training.bus.request(listFileUsers, { fileId: trainingFile });
    expect(jobIds).toEqual(made.slice(0, FILE_USERS_MAX));
    expect(hasMore).toBe(true);
  });
});

describe('a run', () => {
  it('that ends before all planned steps has none left from then on, and succeeds with those it made', async () => {
    const saving = Promise.withResolvers<void>();
    training.peers.script.push({ untilStep: 4, saving: saving.promise });
    const { id } = await training.submit();
    const made = { step: 4, totalSteps: 4, secondsLeft: 0 };
    const saves = async (): Promise<JobRecord | undefined> => {
      const job = await training.job(id);
      return job.phase === 'saving' ? job : undefined;
    };
    expect((await waitFor(saves)).progress).toMatchObject(made);
    saving.resolve();
    expect(await training.until(id, 'succeeded')).toMatchObject({ progress: made, result: { steps: 4 } });
  });

  it('whose lines are known only with its end has trained all the same, in the live stream and in the trace', async () => {
    const record = jest.spyOn(Tracing.prototype, 'record');
    const traced = Promise.withResolvers<void>();
    training.peers.script.push({ lost: true, saving: traced.promise });
    const { id } = await training.submit();
    const trace = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    await training.store.change(id, (tx) => tx.saveJob({ ...tx.job, trace }));
    traced.resolve();
    await training.until(id, 'succeeded');
    expect((await training.losses(id)).map(({ step }) => step)).toEqual(numbered(10));
    const phases = (await training.stream(id)).map(({ data }) => data['phase']);
    expect(phases).toContain('training');
    const has = (wanted: string): boolean => record.mock.calls.some(([{ name }]) => name === wanted);
    for (const span of ['attempt 1', 'training']) await waitFor(() => has(span), { what: `the span "${span}"` });
    record.mockRestore();
  });

  it('that infrastructure ended goes on from its checkpoint, and its curve has no doubles', async () => {
    training.peers.script.push({ untilStep: 7, checkpointSteps: [5], code: 'runtime.killed' }, {});
    const { id } = await training.submit();
    const job = await training.until(id, 'succeeded');
    expect(job.attempts).toMatchObject([
      { attempt: 1, code: 'runtime.killed' },
      { attempt: 2, code: null, resumedFromStep: 5 },
    ]);
    const curve = await training.losses(id);
    expect(curve.map(({ step }) => step)).toEqual(numbered(10));
    expect(curve.map(({ value }) => Math.floor(value))).toEqual([2, 2, 2, 2, 2, 3, 3, 3, 3, 3]);
    expect(training.peers.mostAtOnce).toBe(1);
  });

  it('lists its checkpoints as they were stored, also where one is told of late, page by page', async () => {
    training.peers.script.push({ untilStep: 6, checkpointSteps: [3, 6] });
    const { id } = await training.submit();
    const { runId } = await training.until(id, 'succeeded');
    const late = { step: 2, uri: `artifact://runs/${runId}/1/1/checkpoint-2`, sha256: 'a'.repeat(64) };
    const event = { type: 'checkpoint-stored' as const, time: new Date(0).toISOString(), ...late };
    await training.bus.publishRunMessage({ runId: runId ?? '', attempt: 1, incarnation: 1, event });
    const list = async (order: 'asc' | 'desc', limit: number, after?: string) =>
      (await training.bus.request(listJobCheckpoints, { jobId: id, order, limit, ...(after && { after }) })).items;
    const stepsOf = (items: readonly { step: number }[]): number[] => items.map(({ step }) => step);
    await waitFor(async () => (await list('asc', 9)).length === 3);
    for (const [order, steps] of [
      ['desc', [6, 3, 2]],
      ['asc', [2, 3, 6]],
    ] as const) {
      const first = await list(order, 2);
      expect(stepsOf([...first, ...(await list(order, 2, first.at(-1)?.id))])).toEqual(steps);
    }
  });

  it('is tried again three times without a new checkpoint, then fails with the reason', async () => {
    training.peers.script.push(...numbered(9).map(() => ({ untilStep: 2, code: 'storage.unreachable' as const })));
    const { id } = await training.submit();
    const job = await training.until(id, 'failed');
    expect(job.attempts).toHaveLength(4);
    expect(job.error?.code).toBe('storage.unreachable');
  });

  it('is never tried again for a fault of the user, but told what to change', async () => {
    training.peers.script.push({ untilStep: 3, code: 'training.diverged' });
    const { id } = await training.submit({ hyperparameters: { learningRate: 0.03 } });
    const job = await training.until(id, 'failed');
    expect(job.attempts).toHaveLength(1);
    expect(job.error?.change).toEqual({ 'hyperparameters.learning_rate': 0.01 });
  });

  it.each(['device.out-of-memory', 'host.out-of-memory'] as const)(
    'with auto_fix goes on after %s with less by the estimate: time for memory first, then shorter rows; never the batch',
    async (code) => {
      for (const profile of training.peers.inventory.profiles) {
        profile.memoryMib = 64_000;
        profile.freeMemoryMib = 64_000;
      }
      training.peers.longestRowTokens = 1_024;
      training.peers.script.push({ untilStep: 0, code }, { untilStep: 0, code }, {});
      const { id } = await training.submit({ autoFix: true });
      const job = await training.until(id, 'succeeded');
      expect(job.hyperparameters.globalBatch).toBe(8);
      expect(job.cutoffLength).toBeLessThan(1_024);
      expect(job.plan?.memoryMode).toBe('layer-recompute');
      const retries = (await training.messages(id)).filter((message) =>
        message.includes('ran out of memory; trying again: '),
      );
      expect(retries).toEqual([
        expect.stringMatching(/activations computed layer by layer, about \d+ MiB$/),
        expect.stringMatching(/rows cut at \d+ tokens, about \d+ MiB$/),
      ]);
      const spec = await training.peers.bucket.get('spec', job.runId ?? '');
      const request = await readArtifact(training.peers.store, spec?.value.requestUri ?? '');
      const { limits } = runRequest.parse(JSON.parse(request.toString('utf8')));
      expect(limits.memoryMib).toBeGreaterThanOrEqual(job.plan?.totalMib ?? Infinity);
      expect(limits.memoryMib).toBeLessThan(4_000);
    },
  );

  it('without auto_fix fails after the memory was not enough, with a change that lowers it and both figures', async () => {
    for (const profile of training.peers.inventory.profiles) profile.memoryMib = profile.freeMemoryMib = 64_000;
    training.peers.longestRowTokens = 1_024;
    training.peers.script.push({ untilStep: 0, code: 'host.out-of-memory' });
    const { id } = await training.submit();
    const { error, plan } = await training.until(id, 'failed');
    expect(Object.keys(error?.change ?? {})).toEqual(['cutoff_length']);
    expect(error?.hint).toContain(`about ${plan?.totalMib} MiB`);
  });

  it('cannot be paused while its datasets are made again, but cancelled', async () => {
    for (const profile of training.peers.inventory.profiles) profile.memoryMib = profile.freeMemoryMib = 64_000;
    training.peers.longestRowTokens = 1_024;
    const code = 'host.out-of-memory' as const;
    const slots = (count: number): void =>
      training.peers.inventory.profiles.forEach((profile) => (profile.slots = count));
    slots(0);
    training.peers.script.push({ untilStep: 0, code }, { untilStep: 0, code });
    const { id } = await training.submit({ autoFix: true });
    await training.until(id, 'queued');
    training.peers.datasetState = 'preparing';
    slots(1);
    await waitFor(async () => (await training.job(id)).phase === 'preparing');
    await expect(training.bus.request(pauseJob, { jobId: id })).rejects.toMatchObject({ code: 'job.not-pausable' });
    expect((await training.bus.request(cancelJob, { jobId: id })).status).toBe('cancelled');
  });

  it('keeps to one place: the second job waits with a sentence', async () => {
    training.peers.script.push({ untilStep: 3, untilStopped: true }, {});
    const first = await training.submit();
    await waitFor(async () => (await training.job(first.id)).progress?.step === 3);
    const second = await training.submit();
    const waiting = await waitFor(async () => {
      const job = await training.job(second.id);
      return job.message.includes('free place') ? job : undefined;
    });
    expect(waiting.status).toBe('queued');
    await training.bus.request(cancelJob, { jobId: first.id });
    await training.until(second.id, 'succeeded');
    expect(training.peers.mostAtOnce).toBe(1);
  });

  it('starts by priority, of equal ones the oldest first, and what is made once more before anything new', async () => {
    training.peers.script.push({ untilStep: 1, untilStopped: true });
    const blocker = await training.submit();
    await training.until(blocker.id, 'running');
    const queued = async (patch: Partial<JobRequest>): Promise<string> => {
      const { id } = await training.submit(patch);
      return (await training.until(id, 'queued')).id;
    };
    const low = await queued({ priority: 'low' });
    const first = await queued({});
    const second = await queued({ priority: 'normal' });
    const high = await queued({ priority: 'high' });
    const again = await queued({ priority: 'low', autoFix: true });
    const store = training.store;
    await store.change(again, async (tx) => tx.saveJob({ ...tx.job, fixes: 1 }));
    const isLast = async (): Promise<boolean> => (await training.job(low)).message === '4 jobs wait before this one.';
    await waitFor(isLast, { what: 'the last place in the queue' });
    await training.bus.request(cancelJob, { jobId: blocker.id });
    const { priority } = await training.until(low, 'succeeded'); // after four others
    expect(priority).toBe('low');
    expect(training.peers.begun).toEqual([blocker.id, again, high, first, second, low]);
    const { runId } = await training.job(high);
    expect((await training.peers.bucket.get('spec', runId ?? ''))?.value.priority).toBe(PRIORITIES.high);
  });

  it('ignores a late status of an older attempt', async () => {
    training.peers.script.push({ untilStep: 2, code: 'runtime.killed' }, { untilStep: 4, untilStopped: true });
    const { id, runId } = await (async () => {
      const made = await training.submit();
      return waitFor(async () => {
        const job = await training.job(made.id);
        return job.progress?.step === 4 ? job : undefined;
      });
    })();
    const current = await training.peers.bucket.get('status', runId ?? '');
    if (!current) throw new Error('no status');
    const { outcome: _, ...rest } = current.value;
    await training.peers.bucket.put('status', { ...rest, attempt: 1, phase: 'ended', reason: 'failed' });
    await training.peers.bucket.put('status', rest);
    await training.bus.request(pauseJob, { jobId: id });
    const job = await training.until(id, 'paused');
    expect(job.attempts).toHaveLength(2);
  });
});

describe('stopping', () => {
  it('cancels at once what waits, and what runs after it has left', async () => {
    training.peers.script.push({ untilStep: 3, untilStopped: true });
    const running = await training.submit();
    await waitFor(async () => (await training.job(running.id)).progress?.step === 3);
    const waiting = await training.submit();
    await training.until(waiting.id, 'queued');
    expect((await training.bus.request(cancelJob, { jobId: waiting.id })).status).toBe('cancelled');
    expect((await training.bus.request(cancelJob, { jobId: running.id })).status).toBe('running');
    const job = await training.until(running.id, 'cancelled');
    expect(job.finishedAt).not.toBeNull();
    expect(await training.outbox(running.id)).toEqual(['luthier.v1.event.training.job.cancelled']);
    await waitFor(async () => (await training.peers.bucket.get('spec', job.runId ?? ''))?.value.closed);
  });

  it('refuses to cancel what has succeeded', async () => {
    const { id } = await training.submit();
    await training.until(id, 'succeeded');
    await expect(training.bus.request(cancelJob, { jobId: id })).rejects.toMatchObject({ code: 'job.not-cancellable' });
    await expect(training.bus.request(pauseJob, { jobId: id })).rejects.toMatchObject({ code: 'job.not-pausable' });
  });

  it('pauses a running job, and goes on from its checkpoint when it is resumed', async () => {
    training.peers.script.push({ untilStep: 4, checkpointSteps: [4], untilStopped: true }, {});
    const { id } = await training.submit();
    await waitFor(async () => (await training.job(id)).progress?.step === 4);
    await training.bus.request(pauseJob, { jobId: id });
    await training.until(id, 'paused');
    await training.bus.request(resumeJob, { jobId: id });
    const job = await training.until(id, 'succeeded');
    expect(job.attempts).toMatchObject([{ attempt: 1 }, { attempt: 2, resumedFromStep: 4 }]);
    expect((await training.losses(id)).map(({ step }) => step)).toEqual(numbered(10));
  });
});

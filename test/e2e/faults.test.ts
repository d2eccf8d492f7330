import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { unwrap } from '@luthier/api-client';
import { removeHome, tempDir, waitFor } from '@luthier/testing';
import {
  LONG_RUN,
  checkpointsOf,
  expectWholeAndSingle,
  jobOf,
  submitJob,
  waitForEnd,
  waitForJob,
  waitForTraining,
} from './support/jobs.js';
import type { JobWish } from './support/jobs.js';
import { PlatformProcess } from './support/platform-process.js';
import { killFirst, runnersIn, runtimesIn, watchRuntimes } from './support/processes.js';
import type { RuntimeWatch } from './support/processes.js';

describe('a fault while a job trains', () => {
  let home: string;
  let platform: PlatformProcess;
  let watch: RuntimeWatch;
  beforeAll(async () => {
    home = join(await tempDir('e2e-faults'), 'home');
    platform = await PlatformProcess.start({ home });
  });
  afterAll(async () => {
    await platform.stop();
    await removeHome(home);
  });
  beforeEach(() => {
    watch = watchRuntimes(home);
  });
  afterEach(async () => {
    expect(await watch.stop()).toBeLessThanOrEqual(1); // never two writers of a run
  });

  const training = async (run: JobWish = LONG_RUN): Promise<string> => {
    const { id } = await submitJob(platform.client, run);
    await waitForTraining(platform.client, id);
    return id;
  };

  it('kill -9 of the platform: the next start goes on from the last checkpoint and ends with one whole model', async () => {
    const id = await training();
    await platform.kill();
    platform = await PlatformProcess.start({ home });
    const job = await waitForEnd(platform.client, id);
    expect(job).toMatchObject({ status: 'succeeded', phase: 'done' });
    expect(job.attempts.length).toBe(2);
    expect(job.attempts[1]?.resumed_from_step).toBeGreaterThan(0);
    await expectWholeAndSingle(platform.client, job);
  });

  it.each([
    ['runtime', runtimesIn],
    ['runner', runnersIn],
  ] as const)('kill -9 of the %s: a second attempt goes on from the last checkpoint', async (_name, processesIn) => {
    const id = await training();
    killFirst(await processesIn(home));
    const job = await waitForEnd(platform.client, id);
    expect(job).toMatchObject({ status: 'succeeded', attempts: [{ code: 'runtime.killed' }, { code: null }] });
    expect(job.attempts[1]?.resumed_from_step).toBeGreaterThan(0);
    await expectWholeAndSingle(platform.client, job);
  });

  it.each(['nats-server', 'postgres'] as const)(
    'kill -9 of %s: it is started again, the run goes on untouched and nothing is lost',
    async (program) => {
      const id = await training();
      const pid = await platform.pidOf(program);
      process.kill(pid, 'SIGKILL');
      const job = await waitForEnd(platform.client, id);
      expect(job).toMatchObject({ status: 'succeeded', attempts: [{ attempt: 1, code: null }] });
      expect(await platform.pidOf(program)).not.toBe(pid);
      await expectWholeAndSingle(platform.client, job);
    },
  );

  it('cancel: no process of the run is left, and its checkpoint is kept', async () => {
    const endless = { ...LONG_RUN, steps: 500, rows: 960 };
    const id = await training(endless);
    await unwrap(platform.client.POST('/v1/fine_tuning/jobs/{job_id}/cancel', { params: { path: { job_id: id } } }));
    await waitFor(async () => [...(await runtimesIn(home)), ...(await runnersIn(home))].length === 0);
    const job = await waitForEnd(platform.client, id);
    expect(job).toMatchObject({ status: 'cancelled', tuned_model_id: null });
    const newest = (await checkpointsOf(platform.client, id))[0];
    expect(newest?.step_number).toBeGreaterThanOrEqual((job.progress?.step ?? 0) - 1);
    expect(newest?.step_number).toBeLessThan(endless.steps);
    const { response } = await platform.client.POST('/v1/fine_tuning/jobs/{job_id}/cancel', {
      params: { path: { job_id: id } },
    });
    expect([200, 409]).toContain(response.status);
    expect((await jobOf(platform.client, id)).status).toBe('cancelled');
  });

  it('pause: the run leaves its place; resume goes on from where it was', async () => {
    const id = await training();
    const path = { job_id: id };
    await unwrap(platform.client.POST('/v1/fine_tuning/jobs/{job_id}/pause', { params: { path } }));
    const paused = await waitForJob(platform.client, id, ({ status }) => status === 'paused');
    expect(paused.status).toBe('paused');
    expect(await runtimesIn(home)).toEqual([]);
    const newest = (await checkpointsOf(platform.client, id))[0]?.step_number ?? 0;
    await unwrap(platform.client.POST('/v1/fine_tuning/jobs/{job_id}/resume', { params: { path } }));
    const job = await waitForEnd(platform.client, id);
    expect(job).toMatchObject({ status: 'succeeded', attempts: [{}, { resumed_from_step: newest, code: null }] });
    await expectWholeAndSingle(platform.client, job);
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cancelJob } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { TrainingFixture } from '../testing/training-fixture.js';

let training: TrainingFixture;
beforeAll(async () => {
  training = await TrainingFixture.start();
});
afterAll(() => training.stop());

const MIB = 1024 * 1024;

/** What is told of a run, by the name of the metric. */
async function toldOf(runId: string): Promise<Record<string, number>> {
  const samples = [...(await training.metrics())].filter(([series]) => series.includes(`run_id="${runId}"`));
  return Object.fromEntries(samples.map(([series, value]) => [series.split('{')[0] ?? '', value]));
}

describe('the metrics of a run', () => {
  it('tell its newest step and its plan while it is under way, and are gone when it has ended', async () => {
    training.peers.script.push({ untilStep: 4, untilStopped: true });
    const before = Date.now() / 1_000;
    const jobId = await training.create({ metadata: { project: 'support' } });
    const { runId, plan } = await waitFor(async () => {
      const job = await training.job(jobId);
      return job.progress?.step === 4 ? job : undefined;
    });
    const told = await toldOf(runId ?? '');
    expect(told).toMatchObject({
      ...{ luthier_run_info: 1, luthier_run_attempt: 1, luthier_run_step: 4, luthier_run_total_steps: 10 },
      ...{ luthier_run_loss: 2.96, luthier_run_learning_rate: 1e-3, luthier_run_gradient_norm: 1 },
      ...{ luthier_run_tokens_per_second: 4_000, luthier_run_step_seconds: 0.1 },
      luthier_run_memory_used_bytes: 900 * MIB,
      luthier_run_memory_planned_bytes: (plan?.totalMib ?? 0) * MIB,
    });
    expect(told['luthier_run_last_step_timestamp_seconds']).toBeGreaterThanOrEqual(before);
    const labels = [`run_id="${runId}"`, `job_id="${jobId}"`, 'method="supervised"', 'tuning="lora"'];
    const all = [...labels, 'base_model="tiny-chat"', 'project="support"', 'service="training"'].join(',');
    expect((await training.metrics()).get(`luthier_run_info{${all}}`)).toBe(1);

    await training.bus.request(cancelJob, { jobId });
    await training.until(jobId, 'cancelled');
    expect(await toldOf(runId ?? '')).toEqual({});
  });

  it('tell how long the oldest job waits for a place, and how long those waited that got one', async () => {
    const waited = async (): Promise<number> =>
      (await training.metrics()).get('luthier_job_wait_seconds_count{service="training"}') ?? 0;
    const oldest = async (): Promise<number> =>
      (await training.metrics()).get('luthier_jobs_oldest_waiting_seconds{service="training"}') ?? -1;
    const admitted = await waited();
    training.peers.script.push({ untilStopped: true });
    const first = await training.create();
    await waitFor(async () => (await waited()) === admitted + 1);
    await waitFor(async () => (await oldest()) === 0); // it has begun
    const second = await training.create();
    await waitFor(async () => (await oldest()) > 0);
    await training.bus.request(cancelJob, { jobId: second });
    await training.bus.request(cancelJob, { jobId: first });
    await training.until(first, 'cancelled');
    await waitFor(async () => (await oldest()) === 0);
  });
});

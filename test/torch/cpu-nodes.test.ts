import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readdir, readFile } from 'node:fs/promises';
import { unwrap } from '@luthier/api-client';
import type { LuthierClient } from '@luthier/api-client';
import { waitFor } from '@luthier/testing';
import { canRunKubernetes, canRunPodProcesses } from '@luthier/testing/kube';
import type { Pod } from '@luthier/testing/kube';
import {
  TINY_MODEL,
  expectWholeAndSingle,
  jobBody,
  jobOf,
  submitJob,
  waitForJob,
  waitForTraining,
} from '../e2e/support/jobs.js';
import type { Job } from '../e2e/support/jobs.js';
import { ClusterPlatform } from '../kube/support/cluster-platform.js';
import { command, describeWithTorch } from './torch-environment.js';

const NODES = ['cpu-node-1', 'cpu-node-2'];
const ON_BOTH = { nodes: 2, devices_per_node: 0 };
const TIMEOUT_MS = 600_000;
/** From the fault of a process to the reason that a user reads. */
const REASON_TIMEOUT_MS = 60_000;

const onPods = (await canRunKubernetes()) && (await canRunPodProcesses());

(onPods ? describeWithTorch : describe.skip)('a job on the processors of two nodes', () => {
  let platform: ClusterPlatform;
  let client: LuthierClient;
  beforeAll(async () => {
    platform = await ClusterPlatform.start({
      // Each has room for one process.
      nodes: NODES.map((name) => ({ name, gpus: 0, cpus: 1 })),
      runtime: { name: 'runtime-torch', command },
      profile: { environment: { LUTHIER_TORCH_COLLECTIVE_SECONDS: '15' } },
      environment: { LUTHIER_TRAINING_STOP_GRACE_SECONDS: '10' },
    });
    ({ client } = platform);
  }, TIMEOUT_MS);
  afterAll(() => platform.stop());

  it(
    'is trained as it was planned by a process in each of two pods, scored, and ends with one model',
    async () => {
      const body = await jobBody(client, { steps: 20, heldOut: true, resources: ON_BOTH });
      const importBase = async (): Promise<boolean> =>
        (await unwrap(client.POST('/api/v1/models', { body: { model: TINY_MODEL } }))).state === 'ready';
      await waitFor(importBase, { intervalMs: 100, what: 'the base model' });
      const plan = await unwrap(client.POST('/api/v1/plan', { body }));
      expect(plan).toMatchObject({ verdict: 'fits', steps: 20, precision: 'float32' });
      const { id } = await unwrap(client.POST('/v1/fine_tuning/jobs', { body }));
      expect(await nodesOf(id)).toEqual(NODES);
      const job = await platform.waitForEnd(id, TIMEOUT_MS);
      expect(job).toMatchObject({ status: 'succeeded', phase: 'done', error: null, attempts: [{ attempt: 1 }] });
      expect(job.plan).toMatchObject({ total_mib: plan.total_mib, memory_mode: plan.memory_mode, steps: plan.steps });
      const { base, tuned, last_loss: lastLoss, first_loss: firstLoss } = job.result ?? {};
      expect(lastLoss).toBeLessThan(firstLoss ?? 0);
      expect(tuned?.perplexity).not.toBe(base?.perplexity);
      await expectWholeAndSingle(client, job);
      const path = { model: job.tuned_model_id ?? '' };
      const { model } = await unwrap(client.GET('/api/v1/models/{model}', { params: { path } }));
      expect(model).toMatchObject({ kind: 'tuned', state: 'ready', job_id: id });
      expect(await messagesOf(id)).toContainEqual(expect.stringMatching(/^Training started/));
    },
    2 * TIMEOUT_MS,
  );

  it(
    'says within a minute which process on which node was killed, and which hangs, and goes on from its checkpoint each time',
    async () => {
      const { id } = await submitJob(client, { steps: 400, resources: ON_BOTH });

      await trainsIn(id, 1);
      const second = (await platform.podsOf(id, 1)).find(isSecond)?.spec.nodeName ?? 'none';
      process.kill(await pidOfRank(id, 1), 'SIGKILL');
      const killed = `The training process was killed (rank 1, node "${second}", signal SIGKILL).`;
      expect(await endOfAttempt(id, 1)).toMatchObject({ code: 'runtime.killed', message: killed });

      const resumed = await trainsIn(id, 2);
      process.kill(await pidOfRank(id, 1), 'SIGSTOP');
      // Where they meet next: at a step, or at a checkpoint.
      const hung = expect.stringMatching(/^Rank 0: Waited 15 s for rank 1 at .+\.$/);
      const hanging = await endOfAttempt(id, 2);
      expect(hanging).toMatchObject({ code: 'collective.failed', message: hung });

      const job = await platform.waitForEnd(id, TIMEOUT_MS);
      expect(job).toMatchObject({ status: 'succeeded', attempts: [{ attempt: 1 }, { attempt: 2 }, { attempt: 3 }] });
      const [, from, further] = job.attempts.map((attempt) => attempt.resumed_from_step ?? 0);
      expect(from).toBeGreaterThan(0);
      expect(from).toBe(resumed.attempts[1]?.resumed_from_step);
      expect(further).toBeGreaterThanOrEqual(from ?? 0);
      await expectWholeAndSingle(client, job);
      const messages = await messagesOf(id);
      expect(messages).toContainEqual(`${killed} Attempt 2 goes on from step ${from}.`);
      expect(messages).toContainEqual(`${hanging?.message} Attempt 3 goes on from step ${further}.`);
    },
    2 * TIMEOUT_MS,
  );

  it(
    'is paused on both nodes before the same step, and goes on from there',
    async () => {
      const { id } = await submitJob(client, { steps: 300, resources: ON_BOTH });
      await waitForTraining(client, id, TIMEOUT_MS);
      const params = { path: { job_id: id } };
      await unwrap(client.POST('/v1/fine_tuning/jobs/{job_id}/pause', { params }));
      await waitForJob(client, id, ({ status }) => status === 'paused', TIMEOUT_MS);
      await unwrap(client.POST('/v1/fine_tuning/jobs/{job_id}/resume', { params }));
      const job = await platform.waitForEnd(id, TIMEOUT_MS);
      expect(job).toMatchObject({ status: 'succeeded', attempts: [{ attempt: 1 }, { attempt: 2 }] });
      expect(job.attempts[1]?.resumed_from_step).toBeGreaterThan(0);
      await expectWholeAndSingle(client, job);
    },
    2 * TIMEOUT_MS,
  );

  /** Of the pods of its first attempt, as soon as all are placed: they may go as soon as they have ended. */
  async function nodesOf(id: string): Promise<string[]> {
    const placed = async (): Promise<string[] | undefined> => {
      const nodes = (await platform.podsOf(id, 1)).flatMap(({ spec }) => spec.nodeName ?? []);
      return nodes.length === NODES.length ? nodes.toSorted() : undefined;
    };
    return waitFor(placed, { timeoutMs: TIMEOUT_MS, intervalMs: 100, what: 'a node for each pod' });
  }

  /** Waits until an attempt has made a step of its own and there is a checkpoint. */
  async function trainsIn(id: string, attempt: number): Promise<Job> {
    const makesSteps = ({ attempts, phase, progress }: Job): boolean =>
      attempts.length === attempt &&
      phase === 'training' &&
      (progress?.step ?? 0) > (attempts.at(-1)?.resumed_from_step ?? 0);
    const job = await waitForJob(client, id, makesSteps, TIMEOUT_MS);
    await waitForTraining(client, id, TIMEOUT_MS);
    return job;
  }

  async function endOfAttempt(id: string, attempt: number): Promise<Job['attempts'][number] | undefined> {
    const hasEnded = ({ attempts }: Job): boolean => attempts[attempt - 1]?.ended_at != null;
    return (await waitForJob(client, id, hasEnded, REASON_TIMEOUT_MS)).attempts[attempt - 1];
  }

  async function messagesOf(id: string): Promise<string[]> {
    const params = { path: { job_id: id }, query: { limit: 200 } };
    const { data } = await unwrap(client.GET('/v1/fine_tuning/jobs/{job_id}/events', { params }));
    return data.map(({ message }) => message);
  }

  /** Pods are processes of this machine. */
  async function pidOfRank(id: string, rank: number): Promise<number> {
    const { run_id: runId } = await jobOf(client, id);
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const variables = (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).split('\0');
      if (variables.includes(`TORCHELASTIC_RUN_ID=${runId}`) && variables.includes(`RANK=${rank}`)) return Number(pid);
    }
    throw new Error(`rank ${rank} of ${runId} does not run`);
  }
});

const isSecond = ({ metadata }: Pod): boolean =>
  metadata.annotations?.['batch.kubernetes.io/job-completion-index'] === '1';

import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readdir, readFile } from 'node:fs/promises';
import { unwrap } from '@luthier/api-client';
import { waitFor } from '@luthier/testing';
import { canRunKubernetes, canRunPodProcesses } from '@luthier/testing/kube';
import type { Pod } from '@luthier/testing/kube';
import {
  expectWholeAndSingle,
  jobOf,
  submitJob,
  waitForEnd,
  waitForJob,
  waitForTraining,
} from '../e2e/support/jobs.js';
import { ClusterPlatform } from '../kube/support/cluster-platform.js';
import { command, describeWithTorch } from './torch-environment.js';

const GPU = 'nvidia.com/gpu';
const TIMEOUT_MS = 600_000;
const onPods = (await canRunKubernetes()) && (await canRunPodProcesses());

/** The GPUs are names that nothing stands behind: each of the two processes trains on the processor. */
describeWithTorch('a job on two nodes', () => {
  const itOnPods = onPods ? it : it.skip;
  let platform: ClusterPlatform | undefined;
  beforeAll(async () => {
    if (!onPods) return;
    platform = await ClusterPlatform.start({
      nodes: ['two-nodes-1', 'two-nodes-2'].map((name) => ({ name, gpus: 1 })),
      runtime: { name: 'runtime-torch', command },
      profile: { deviceResource: GPU, deviceLabels: 'none', environment: { LUTHIER_TORCH_DEVICE: 'cpu' } },
    });
  }, TIMEOUT_MS);
  afterAll(() => platform?.stop(), 90_000);

  itOnPods(
    'is trained by a process in each of two pods, which meet by the first one’s name, and ends with one model',
    async () => {
      if (!platform) throw new Error('it is started before');
      const { client, cluster, namespace } = platform;
      const { id } = await submitJob(client, { steps: 20, heldOut: true, resources: { nodes: 2 } });
      const { run_id: runId } = await waitFor(
        async () => {
          const job = await jobOf(client, id);
          return job.run_id === null ? undefined : job;
        },
        { timeoutMs: 60_000, what: 'the run' },
      );
      const labelSelector = `luthier.dev/run-id=${runId}`;
      const pods = await waitFor(
        async () => {
          const path = `/api/v1/namespaces/${namespace}/pods`;
          const { items } = await cluster.api.get<{ items: Pod[] }>(path, { labelSelector });
          return items.length === 2 && items.every(({ spec }) => spec.nodeName !== undefined) ? items : undefined;
        },
        { timeoutMs: 60_000, what: 'both pods to have their nodes' },
      );
      expect(pods.map(({ spec }) => spec.nodeName).sort()).toEqual(['two-nodes-1', 'two-nodes-2']);
      const job = await waitForEnd(client, id, TIMEOUT_MS).catch((cause: unknown) => {
        throw new Error(platform?.said(), { cause });
      });
      expect(job).toMatchObject({ status: 'succeeded', phase: 'done', error: null, attempts: [{ attempt: 1 }] });
      expect(job.result?.last_loss).toBeLessThan(job.result?.first_loss ?? 0);
      await expectWholeAndSingle(client, job);
      const { data } = await unwrap(
        client.GET('/v1/fine_tuning/jobs/{job_id}/events', { params: { path: { job_id: id }, query: { limit: 200 } } }),
      );
      expect(data.map(({ message }) => message)).toContainEqual(expect.stringMatching(/^Training started/));
    },
    2 * TIMEOUT_MS,
  );

  itOnPods(
    'is paused on both nodes before the same step, and goes on from there',
    async () => {
      if (!platform) throw new Error('it is started before');
      const { client } = platform;
      const { id } = await submitJob(client, { steps: 400, resources: { nodes: 2 } });
      await waitForTraining(client, id, TIMEOUT_MS);
      const params = { path: { job_id: id } };
      await unwrap(client.POST('/v1/fine_tuning/jobs/{job_id}/pause', { params }));
      await waitForJob(client, id, ({ status }) => status === 'paused', TIMEOUT_MS);
      await unwrap(client.POST('/v1/fine_tuning/jobs/{job_id}/resume', { params }));
      const job = await waitForEnd(client, id, TIMEOUT_MS).catch((cause: unknown) => {
        throw new Error(platform?.said(), { cause });
      });
      expect(job).toMatchObject({ status: 'succeeded', attempts: [{ attempt: 1 }, { attempt: 2 }] });
      expect(job.attempts[1]?.resumed_from_step).toBeGreaterThan(0);
      await expectWholeAndSingle(client, job);
    },
    2 * TIMEOUT_MS,
  );

  itOnPods(
    'goes on from its checkpoint in another attempt when one of its processes is killed, and says which it was',
    async () => {
      if (!platform) throw new Error('it is started before');
      const { client } = platform;
      const { id } = await submitJob(client, { steps: 400, resources: { nodes: 2 } });
      await waitForTraining(client, id, TIMEOUT_MS);
      const { run_id: runId } = await jobOf(client, id);
      process.kill(await pidOfRank(runId ?? '', 1), 'SIGKILL');
      const job = await waitForEnd(client, id, TIMEOUT_MS).catch((cause: unknown) => {
        throw new Error(platform?.said(), { cause });
      });
      const [first, second] = job.attempts;
      expect(first).toMatchObject({
        code: 'runtime.killed',
        message: expect.stringContaining('rank 1, signal SIGKILL'),
      });
      expect(second?.resumed_from_step).toBeGreaterThan(0);
      expect(job).toMatchObject({ status: 'succeeded', attempts: [{ attempt: 1 }, { attempt: 2 }] });
      await expectWholeAndSingle(client, job);
    },
    2 * TIMEOUT_MS,
  );
});

/** Pods are processes of this machine. */
async function pidOfRank(runId: string, rank: number): Promise<number> {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const variables = (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).split('\0');
    if (variables.includes(`TORCHELASTIC_RUN_ID=${runId}`) && variables.includes(`RANK=${rank}`)) return Number(pid);
  }
  throw new Error(`rank ${rank} of ${runId} does not run`);
}

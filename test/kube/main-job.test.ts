import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { unwrap } from '@luthier/api-client';
import type { LuthierClient } from '@luthier/api-client';
import { waitFor } from '@luthier/testing';
import { canRunKubernetes } from '@luthier/testing/kube';
import type { ControlPlane, Pod } from '@luthier/testing/kube';
import { LONG_RUN, expectWholeAndSingle, submitJob, waitForJob, waitForTraining } from '../e2e/support/jobs.js';
import { ClusterPlatform, program } from './support/cluster-platform.js';

const inCluster = (await canRunKubernetes()) ? describe : describe.skip;

inCluster('the platform with a cluster to train in', () => {
  let platform: ClusterPlatform;
  let client: LuthierClient;
  let cluster: ControlPlane;
  let namespace: string;
  beforeAll(async () => {
    platform = await ClusterPlatform.start({
      nodes: ['main-job-1', 'main-job-2'].map((name) => ({ name, gpus: 0 })),
      runtime: { name: 'runtime-node', command: [process.execPath, program('runtime-node')] },
    });
    ({ client, cluster, namespace } = platform);
  }, 900_000);
  afterAll(() => platform.stop());

  it('trains the main job in a pod of a restricted namespace, and ends with a model and an evaluation', async () => {
    const { id } = await submitJob(client, { steps: 20, heldOut: true });
    const job = await platform.waitForEnd(id);
    expect(job).toMatchObject({ status: 'succeeded', phase: 'done', error: null });
    await expectWholeAndSingle(client, job);
    const params = { path: { job_id: id }, query: { limit: 200 } };
    const { data } = await unwrap(client.GET('/v1/fine_tuning/jobs/{job_id}/events', { params }));
    const said = data.filter((event) => event.data?.['source'] === 'kubernetes').reverse();
    expect(said).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ message: 'A pod has been made for the run.', level: 'info' }),
        expect.objectContaining({
          message: expect.stringMatching(/^A pod of the run has got node "main-job-[12]"\.$/),
          data: expect.objectContaining({ what: 'Pod.Scheduled', attempt: 1, count: 1 }),
        }),
      ]),
    );
    // In order: each before what follows from it, and all of it before the end. The Job's controller may tell of a pod
    // after the scheduler has.
    const messages = data.map(({ message }) => message).reverse();
    const at = (text: RegExp): number => messages.findIndex((message) => text.test(message));
    const order = [/has got node/, /^Training started/, /^The job has success/].map(at);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order).not.toContain(-1);
  }, 360_000);

  it('leaves no object of a finished run in the cluster', async () => {
    await waitFor(async () => {
      const jobs = await cluster.api.get<{ items: unknown[] }>(`/apis/batch/v1/namespaces/${namespace}/jobs`);
      return jobs.items.length === 0;
    });
  });

  it('gives its place back while a job is paused, and goes on from where it was when it is resumed', async () => {
    const { id } = await submitJob(client, LONG_RUN);
    await waitForTraining(client, id);
    const params = { path: { job_id: id } };
    await unwrap(client.POST('/v1/fine_tuning/jobs/{job_id}/pause', { params }));
    await waitForJob(client, id, ({ status }) => status === 'paused');
    const { items } = await cluster.api.get<{ items: Pod[] }>(`/api/v1/namespaces/${namespace}/pods`);
    expect(items.map(({ status }) => status?.phase)).toEqual(['Failed']); // left with 60: no place is taken
    await unwrap(client.POST('/v1/fine_tuning/jobs/{job_id}/resume', { params }));
    const job = await platform.waitForEnd(id);
    expect(job).toMatchObject({ status: 'succeeded', phase: 'done' });
    expect(job.attempts[1]?.resumed_from_step).toBeGreaterThan(0);
    await expectWholeAndSingle(client, job);
  }, 360_000);

  it('goes on from its checkpoint on another node when it is restarted, and is charged nothing', async () => {
    const { id } = await submitJob(client, LONG_RUN);
    await waitForTraining(client, id);
    const [first] = await platform.podsOf(id, 1);
    const restart = (attempt: number) =>
      unwrap(
        client.POST('/v1/fine_tuning/jobs/{job_id}/restart', { params: { path: { job_id: id } }, body: { attempt } }),
      );
    await restart(1);
    await restart(1);
    const second = await waitFor(
      async () => (await platform.podsOf(id, 2)).find(({ spec }) => spec.nodeName !== undefined),
      {
        what: 'the pod of the second attempt',
      },
    );
    expect(second.spec.nodeName).not.toBe(first?.spec.nodeName);
    await restart(1); // it has ended: the second goes on
    const job = await platform.waitForEnd(id);
    expect(job).toMatchObject({ status: 'succeeded', attempts: [{ attempt: 1 }, { attempt: 2 }] });
    expect(job.attempts[1]?.resumed_from_step).toBeGreaterThan(0);
    await expectWholeAndSingle(client, job);
  }, 360_000);
});

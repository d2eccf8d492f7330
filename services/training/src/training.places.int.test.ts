import { describe, expect, it } from '@jest/globals';
import { listJobEvents, listJobs, planJob, runRequest } from '@luthier/contracts';
import type { JobRecord } from '@luthier/contracts';
import { readArtifact } from '@luthier/artifacts';
import { waitFor } from '@luthier/testing';
import type { TrainingFixture } from './testing/training-fixture.js';
import { trainingOfEachTest } from './testing/training-of-each-test.js';

let training: TrainingFixture;
trainingOfEachTest((fresh) => (training = fresh));

describe('a job that says where it wants to run', () => {
  const GPU = { nodes: 2, devicesPerNode: 8, deviceType: 'H100' };
  const onDevices = (patch: object = {}): void => {
    training.peers.inventory.profiles = training.peers.inventory.profiles.map((profile) => ({
      ...profile,
      ...{ name: 'gpu', device: 'NVIDIA-H100-80GB-HBM3', devices: 1, freeDevices: 16, memoryMib: 80_000 },
      ...{ freeMemoryMib: 80_000, hostMemoryMib: 64_000, slots: 10 },
      ...patch,
    }));
  };
  const specOf = async (job: JobRecord) => (await training.peers.bucket.get('spec', job.runId ?? ''))?.value;

  it('is refused at submit with the reason of the place, the field at fault and what would fit', async () => {
    onDevices();
    training.peers.fit = {
      ...{ canEverFit: false, fitsNow: false, reason: 'node-too-small', params: { devicesPerNode: 16, largest: 8 } },
      message: 'No node has 16 GPUs; the largest has 8. Use 2 nodes x 8 GPUs.',
      nearest: { nodes: 2, devicesPerNode: 8, deviceType: null, otherType: false, withoutQueue: false },
    };
    const { reason, params, nearest } = training.peers.fit;
    const resources = { nodes: 1, devicesPerNode: 16, deviceType: null };
    await expect(training.submit({ resources })).rejects.toMatchObject({
      code: 'plan.does-not-fit',
      param: 'resources.devices_per_node',
      message: training.peers.fit.message,
      obstacle: { reason, params, nearest },
    });
    expect((await training.bus.request(listJobs, {})).items).toEqual([]);
    const { jobId: _, ...wish } = training.request({ resources });
    expect(await training.bus.request(planJob, wish)).toMatchObject({
      verdict: 'can-never-fit',
      message: training.peers.fit.message,
      obstacle: { reason, params, nearest },
      alternatives: [{ change: { 'resources.nodes': 2, 'resources.devices_per_node': 8 } }],
    });
    training.peers.fit = { ...training.peers.fit, reason: 'unknown-queue', message: "Queue 'nope' does not exist." };
    await expect(training.submit({ queue: 'nope' })).rejects.toMatchObject({
      code: 'plan.does-not-fit',
      param: 'queue',
    });
  });

  it('gets what it asks for, in the run as in the request of the runtime', async () => {
    onDevices();
    training.peers.fit = { deviceProducts: ['NVIDIA-H100-80GB-HBM3'] };
    const { id } = await training.submit({ resources: GPU });
    const job = await training.until(id, 'succeeded');
    expect(job.resources).toEqual(GPU);
    expect(await specOf(job)).toMatchObject({
      queue: 'internal',
      resources: {
        ...{ nodes: 2, devicesPerNode: 8, memoryMib: 64_000, deviceMemoryMib: job.plan?.totalMib },
        deviceProducts: ['NVIDIA-H100-80GB-HBM3'],
      },
    });
    expect(training.peers.shapes.at(-1)).toMatchObject({ ...GPU, deviceMemoryMib: job.plan?.totalMib });
    const spec = await specOf(job);
    const request = await readArtifact(training.peers.store, spec?.requestUri ?? '', 1_000_000);
    expect(runRequest.parse(JSON.parse(request.toString())).parallelism).toEqual({ nodes: 2, devicesPerNode: 8 });
  });

  it('waits while others have the devices, with the words of the place, and starts when they are free', async () => {
    onDevices();
    training.peers.fit = {
      fitsNow: false,
      reason: 'devices-busy',
      params: { nodes: 1, devicesPerNode: 8, fitting: 0, free: 3, together: '' },
      message: 'Waiting for GPUs: needs 8 on one node, 3 free now.',
    };
    const obstacle = { reason: 'devices-busy', params: training.peers.fit.params, nearest: null };
    const { id } = await training.submit({ resources: GPU });
    await waitFor(async () => {
      const job = await training.job(id);
      return job.status === 'queued' && job.message === training.peers.fit.message;
    });
    expect((await training.job(id)).plan).toMatchObject({
      verdict: 'waits',
      message: training.peers.fit.message,
      obstacle,
    });
    const { items } = await training.bus.request(listJobEvents, { jobId: id, limit: 100 });
    expect(items.find(({ message }) => message === training.peers.fit.message)?.data).toEqual({ obstacle });
    training.peers.fit = {};
    await training.until(id, 'succeeded');
  });

  it('is handed to a queue outside at once, even when there is no room now', async () => {
    onDevices();
    training.peers.fit = {
      fitsNow: false,
      reason: 'queue-busy',
      message: 'In queue team-a: needs 16 GPUs, 3 not reserved now.',
    };
    const { id } = await training.submit({ resources: GPU, queue: 'team-a' });
    const job = await training.until(id, 'succeeded');
    expect(job.queue).toBe('team-a');
    expect(await specOf(job)).toMatchObject({ queue: 'external', queueName: 'team-a' });
  });

  it('waits in the queue of its profile where it names none itself', async () => {
    onDevices({ queue: 'everyone' });
    const { id } = await training.submit({});
    const job = await training.until(id, 'succeeded');
    expect(job.queue).toBeNull();
    expect(await specOf(job)).toMatchObject({ queue: 'external', queueName: 'everyone' });
  });

  it('fails before queueing when the place has become too small in the meantime', async () => {
    onDevices();
    training.peers.datasetState = 'preparing';
    const { id } = await training.submit({ resources: GPU });
    await waitFor(async () => (await training.job(id)).phase === 'preparing');
    training.peers.fit = {
      canEverFit: false,
      fitsNow: false,
      reason: 'too-few-nodes',
      message: 'The cluster has 1 such place.',
    };
    training.peers.datasetState = 'ready';
    const job = await training.until(id, 'failed');
    expect(job.error).toMatchObject({ code: 'plan.does-not-fit', message: expect.stringContaining('1 such place') });
  });
});

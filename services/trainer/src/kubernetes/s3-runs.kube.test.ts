import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readArtifact } from '@luthier/artifacts';
import { checkpointManifest } from '@luthier/contracts';
import { canRunS3, startS3 } from '@luthier/testing';
import type { TestS3 } from '@luthier/testing';
import { canRunKubernetes, canRunPodProcesses, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane } from '@luthier/testing/kube';
import { ClusterPlace, Fates, fakeProfile } from '../testing/cluster-place.js';

const all = [await canRunKubernetes(), await canRunPodProcesses(), await canRunS3()];

(all.every(Boolean) ? describe : describe.skip)('runs in a cluster whose artifacts are in S3', () => {
  const fates = new Fates();
  let s3: TestS3;
  let cluster: ControlPlane;
  let place: ClusterPlace;
  beforeAll(async () => {
    [s3, cluster] = await Promise.all([startS3(), startControlPlane()]);
    Object.assign(process.env, s3.environment);
    await cluster.startKubelet({ fateOf: fates.of, nodes: [{ name: 's3-1', gpus: 0 }, { name: 's3-2', gpus: 0 }] }); // prettier-ignore
    // The claim is not there: a pod that asked for it would never start.
    place = await ClusterPlace.start(cluster, {
      ...{ fates, profiles: [fakeProfile('cpu')], artifactsUrl: await s3.createBucket() },
    });
  }, 900_000);
  afterAll(async () => {
    await place.stop();
    await cluster.stop();
    await s3.stop();
  });

  it('need no volume and no credentials in their pods', async () => {
    const spec = await place.run('cpu', { type: 'process' }, {}, { steps: 4, checkpointEverySteps: 2 });
    const pod = await place.podOf(spec);
    const status = await place.ended(spec);
    expect(status).toMatchObject({ reason: 'succeeded', outcome: { step: 4, checkpoint: { step: 4 } } });
    expect(await place.harness.store.stat(`${status.outcome?.artifact?.uri}/artifact-manifest.json`)).toBeDefined();
    expect(JSON.stringify(pod.spec)).not.toMatch(/persistentVolumeClaim|AWS_/);
  });

  it('commit one checkpoint of what two nodes have stored', async () => {
    const resources = { nodes: 2, devicesPerNode: 0, deviceMemoryMib: 0, cpu: 1, memoryMib: 64, scratchMib: 64 };
    const behaviour = { steps: 4, checkpointEverySteps: 4 };
    const spec = await place.run('cpu', { type: 'process' }, { resources }, behaviour);
    const status = await place.ended(spec);
    expect(status).toMatchObject({ reason: 'succeeded', outcome: { checkpoint: { step: 4 } } });
    const uri = `artifact://runs/${spec.runId}/1/1/checkpoint-4/checkpoint.json`;
    const manifest = checkpointManifest.parse(JSON.parse((await readArtifact(place.harness.store, uri)).toString()));
    expect(manifest.files.map(({ name }) => name).sort()).toEqual(['state.json', 'weights.1.bin', 'weights.bin']);
    const commits = (await place.harness.messages(spec.runId)).filter(
      ({ event }) => event.type === 'checkpoint-stored',
    );
    expect(commits).toHaveLength(1);
  });
});

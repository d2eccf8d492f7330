import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RunSpec, RunStatus } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { canRunKubernetes, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, FakeKubelet, FakeNode, Fate } from '@luthier/testing/kube';
import { ClusterPlace, Fates, fakeProfile } from '../testing/cluster-place.js';

const CASE = 'test.luthier.dev/case';
const node = (name: string, of: string): FakeNode => ({ name, gpus: 0, labels: { [CASE]: of } });
const on = (of: string) => fakeProfile(of, { nodeSelector: { [CASE]: of }, nodeLostSeconds: 600 });
const LONG = { steps: 100_000, stepMs: 20, checkpointEverySteps: 5 };
const TRAINS: Fate = { type: 'process' };

const inCluster = (await canRunKubernetes()) ? describe : describe.skip;

inCluster('a run that is restarted elsewhere', () => {
  let cluster: ControlPlane;
  let kubelet: FakeKubelet;
  let place: ClusterPlace;
  beforeAll(async () => {
    cluster = await startControlPlane();
    const fates = new Fates();
    const nodes = ['answers', 'silent'].flatMap((of) => [node(`${of}-1`, of), node(`${of}-2`, of)]);
    kubelet = await cluster.startKubelet({ fateOf: fates.of, nodes });
    place = await ClusterPlace.start(cluster, { fates, profiles: [on('answers'), on('silent')] });
  }, 900_000);
  afterAll(async () => {
    await place.stop();
    await cluster.stop();
  });

  /** As training does it: the order, then the next attempt once the end of the last is stored. */
  async function move(spec: RunSpec, from: string): Promise<{ ended: RunStatus; second: RunSpec }> {
    const ordered = await place.change(spec, { desired: 'stopped', stopReason: 'restart', avoidNodes: [from] });
    const ended = await place.ended(ordered);
    const { stopReason: _, ...next } = ordered;
    const second = await place.again(
      { ...next, desired: 'running', seen: { attempt: 1, objectUid: ended.objectUid } },
      TRAINS,
    );
    await place.running(second);
    return { ended, second };
  }
  const begun = async (profile: string): Promise<{ spec: RunSpec; at: string }> => {
    const spec = await place.run(profile, TRAINS, { stopGraceSeconds: 300 }, LONG);
    await place.harness.waitForCheckpoint(spec.runId);
    return { spec, at: (await place.podOf(spec)).spec.nodeName ?? '' };
  };
  const startOf = (runId: string, attempt: number) =>
    waitFor(
      async () => {
        const said = await place.harness.messages(runId);
        return said.find((line) => line.attempt === attempt && line.event.type === 'started')?.event;
      },
      { what: `the start of attempt ${attempt}` },
    );

  it('saves where it is heard, and goes on from there on another node', async () => {
    const { spec, at } = await begun('answers');
    const { ended, second } = await move(spec, at);
    expect(ended).toMatchObject({ reason: 'stopped', outcome: { code: 'runtime.interrupted' } });
    expect((await place.podOf(second)).spec.nodeName).not.toBe(at);
    expect(await startOf(spec.runId, 2)).toMatchObject({ resumeStep: ended.outcome?.checkpoint?.step });
    await place.change(second, { closed: true });
  });

  it('waits neither for a node that does not answer nor for the time it has to leave, and shuts out what runs there', async () => {
    const { spec, at } = await begun('silent');
    kubelet.silence(at);
    await place.until(spec, ({ reason }) => reason === 'node-lost');
    const asked = Date.now();
    const { second } = await move(spec, at);
    // Not 300 s of grace, nor 600 s until the node counts as lost.
    expect(Date.now() - asked).toBeLessThan(300_000);
    // As far as anybody can know it still runs.
    expect((await place.podsOf(spec)).map((pod) => pod.status?.phase)).toEqual(['Running']);
    expect((await place.podOf(second)).spec.nodeName).not.toBe(at);
    const { resumeStep } = (await startOf(spec.runId, 2)) as { resumeStep: number };
    expect(resumeStep).toBeGreaterThanOrEqual(5);
    // The first goes on for itself: nothing it says after the second has begun is taken.
    const said = await place.harness.messages(spec.runId);
    const startedAt = said.findIndex(({ attempt, event }) => attempt === 2 && event.type === 'started');
    expect(said.slice(startedAt).filter(({ attempt }) => attempt === 1)).toEqual([]);
    await place.change(second, { closed: true });
    await kubelet.restore(at);
    await waitFor(async () => (await place.podsOf(spec)).length === 0);
  });
});

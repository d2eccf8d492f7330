import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { steadyPort, waitFor } from '@luthier/testing';
import { canRunKubernetes } from '@luthier/testing/kube';
import { objectOf } from '../testing/cluster/run-plans.js';
import type { TrainerProcess } from '../testing/cluster/trainer-process.js';
import { TrainingCluster } from '../testing/cluster/training-cluster.js';

const inCluster = (await canRunKubernetes()) ? describe : describe.skip;

inCluster('two trainers', () => {
  let place: TrainingCluster;
  let first: TrainerProcess;
  let second: TrainerProcess;

  const holder = async (): Promise<string> => {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${place.namespace}/leases/luthier-trainer`;
    return (await place.cluster.api.get<{ spec: { holderIdentity?: string } }>(path)).spec.holderIdentity ?? '';
  };
  const serves = ({ port }: TrainerProcess): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}/`).then(({ status }) => status === 404);
  const startOne = async (): Promise<TrainerProcess> => {
    // On a busy machine one that works may be late with its lease: it must not lose it for that.
    const trainer = place.startTrainerProcess(await steadyPort(), { leaseSeconds: 10 });
    await waitFor(() => serves(trainer), { what: 'a run endpoint' });
    return trainer;
  };
  const madeOf = (runId: string): number => place.witness.made.get(objectOf(runId))?.size ?? 0;

  beforeAll(async () => {
    place = await TrainingCluster.start();
    first = await startOne();
    await waitFor(holder, { what: 'a holder of the lease' });
    second = await startOne();
  }, 900_000);
  afterAll(() => place.stop());

  it('serve the run endpoint both, while one of them decides', async () => {
    const before = await holder();
    place.front.lead(second.port);
    const runId = await place.put({ type: 'process', behaviour: { steps: 10, stepMs: 20 } });
    expect(await place.see(runId)).toMatchObject({ reason: 'succeeded', incarnation: 1 });
    expect(await holder()).toBe(before);
    expect(madeOf(runId)).toBe(1);
  });

  it('hand over when the one that decides hangs; when it wakes up it decides no more, and nothing is doubled', async () => {
    const before = await holder();
    const running = await place.put({ type: 'obeys' });
    await place.harness.waitForStatus(running, ({ phase }) => phase === 'running');
    first.hang();
    const waiting = await Promise.all([1, 2, 3].map(() => place.put({ type: 'done', afterMs: 300 })));
    await waitFor(async () => (await holder()) !== before, { what: 'another holder of the lease' });
    const after = await holder();
    const statuses = await Promise.all([running, ...waiting].map((runId) => place.see(runId)));
    first.goOn();
    const later = await place.put({ type: 'fault', code: 'data.bad', afterMs: 300 });
    statuses.push(await place.see(later));
    const { seen, planned } = place.ends(statuses);
    expect(seen).toEqual(planned);
    await place.untilNoObjects();
    expect([running, ...waiting, later].map(madeOf)).toEqual([1, 1, 1, 1, 1]);
    expect(await holder()).toBe(after);
    expect([first.ended, second.ended]).toEqual([false, false]);
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { idTail, newId } from '@luthier/contracts';
import type { RunStatus } from '@luthier/contracts';
import { provision } from '@luthier/messaging';
import { waitFor } from '@luthier/testing';
import { canRunKubernetes } from '@luthier/testing/kube';
import type { WorldCall } from '../testing/cluster/calls.js';
import { objectOf } from '../testing/cluster/run-plans.js';
import { TrainingCluster } from '../testing/cluster/training-cluster.js';
import type { TrainerLife } from '../testing/cluster/training-cluster.js';
import { labelsOf } from './names.js';

const TOKEN_LIFETIME_MS = 1_500;
const inCluster = (await canRunKubernetes()) ? describe : describe.skip;

inCluster('runs in a cluster', () => {
  let place: TrainingCluster;
  let trainer: TrainerLife;
  let onCall: (call: WorldCall) => void = () => undefined;
  beforeAll(async () => {
    place = await TrainingCluster.start();
    trainer = await place.startTrainer({
      judge: (call) => {
        onCall(call);
        return 'pass';
      },
      tokenLifetimeMs: TOKEN_LIFETIME_MS,
      settings: { orphanSeconds: 1 },
    });
  }, 900_000);
  afterEach(async () => {
    onCall = () => undefined;
    await place.cluster.startApiServer();
  });
  afterAll(() => place.stop());

  const jobs = (): string => `/apis/batch/v1/namespaces/${place.namespace}/jobs`;
  const madeOf = (runId: string): number => place.witness.made.get(objectOf(runId))?.size ?? 0;
  const isThere = async (name: string): Promise<boolean> =>
    (await place.cluster.api.get<{ items: { metadata: { name: string } }[] }>(jobs())).items.some(
      ({ metadata }) => metadata.name === name,
    );
  const suspendedJob = (name: string, labels: Record<string, string>): Promise<unknown> =>
    place.cluster.api.post(jobs(), {
      metadata: { name, labels },
      spec: {
        suspend: true,
        template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'x', command: ['x'] }] } },
      },
    });

  it('that are being made when the API server is killed are made once, and end as their pods ended', async () => {
    let killed: Promise<void> | undefined;
    const runIds: string[] = [];
    onCall = ({ what, about }) => {
      if (what !== 'POST jobs' || !runIds.some((runId) => about.includes(idTail(runId)))) return;
      killed ??= place.cluster.stopApiServer();
    };
    for (let n = 0; n < 3; n++) await place.put({ type: 'done', afterMs: 300 }, {}, (runId) => runIds.push(runId));
    await waitFor(() => killed !== undefined, { what: 'the first creation' });
    await killed;
    await place.cluster.startApiServer();
    const { seen, planned } = place.ends(await Promise.all(runIds.map((runId) => place.see(runId))));
    expect(seen).toEqual(planned);
    expect(place.released(runIds)).toEqual([1, 1, 1]);
    expect(runIds.map(madeOf)).toEqual([1, 1, 1]);
    await place.untilNoObjects();
  });

  it('that end while the API server is away are seen to have ended when it is back', async () => {
    const failing = await place.put({ type: 'fault', code: 'training.diverged', afterMs: 3_000 });
    const real = await place.put({ type: 'process', behaviour: { steps: 40, stepMs: 50 } });
    for (const runId of [failing, real]) {
      await place.harness.waitForStatus(runId, hasBegun);
    }
    await place.cluster.stopApiServer();
    await place.harness.waitForStep(real, 40);
    await place.cluster.startApiServer();
    const { seen, planned } = place.ends(await Promise.all([failing, real].map((runId) => place.see(runId))));
    expect(seen).toEqual(planned);
    await place.untilNoObjects();
  });

  it.each([
    ['of their pod', 1, {}, (): boolean => true],
    ['of the pod that failed', 2, { node: 1 }, (line: string): boolean => line.includes('job-completion-index":"1"')],
  ])(
    'that end before the watch of pods has shown anything %s are told of with what it said',
    async (_what, nodes, where, fits) => {
      const resources = { nodes, devicesPerNode: 0, deviceMemoryMib: 0, cpu: 0.1, memoryMib: 64, scratchMib: 64 };
      const goOn = trainer.holdBack('pods', fits);
      const runId = await place.put({ type: 'fault', code: 'data.bad', afterMs: 1_000, ...where }, { resources });
      const { seen, planned } = place.ends([await place.see(runId)]);
      expect(seen).toEqual(planned);
      goOn();
      await place.untilNoObjects();
    },
  );

  it('go on when NATS has lost everything; what training had seen is looked for and never made again', async () => {
    const training = await place.put({ type: 'process', behaviour: { steps: 600, stepMs: 50 } });
    await place.harness.waitForStep(training, 3);
    const before = await place.harness.status(training);
    const ended = await place.put({ type: 'done', afterMs: 100 });
    const { objectUid } = await place.see(ended); // its object goes, its outcome stays in the store
    await waitFor(async () => !(await isThere(objectOf(ended))));
    const vanished = newId('run');
    await place.harness.nats.wipe();
    await waitFor(() => provision(place.harness.connection).then(() => true));
    const specOf = (runId: string) => ({ ...place.specOf(runId), closed: undefined });
    await place.harness.runs.put('spec', {
      ...specOf(training),
      seen: { attempt: 1, objectUid: before?.objectUid },
    });
    await place.harness.runs.put('spec', { ...specOf(ended), seen: { attempt: 1, objectUid } });
    await place.harness.runs.put('spec', {
      ...specOf(ended),
      ...{ runId: vanished, seen: { attempt: 1, objectUid: 'b4e8f6a0-0000-4000-8000-000000000000' } },
    });
    const again = await place.harness.waitForStatus(training, hasBegun);
    expect(again).toMatchObject({ objectUid: before?.objectUid, pods: before?.pods, incarnation: 1 });
    expect(await place.harness.waitForEnd(ended)).toMatchObject({ reason: 'succeeded' });
    expect(await place.harness.waitForEnd(vanished)).toMatchObject({ reason: 'deleted-externally' });
    expect(await place.see(training)).toMatchObject({ reason: 'succeeded', incarnation: 1 });
    expect([training, ended].map(madeOf)).toEqual([1, 1]);
    expect(madeOf(vanished)).toBe(0);
    await place.untilNoObjects();
  });

  it('go on while the run endpoint is away for longer than their token lives, and deliver everything afterwards', async () => {
    const steps = 300; // more than are told of before the endpoint goes
    const runId = await place.put({ type: 'process', behaviour: { steps, stepMs: 20 } });
    await place.harness.waitForStep(runId, 3);
    place.front.lead(undefined);
    const backMs = Date.now() + 3 * TOKEN_LIFETIME_MS;
    await waitFor(() => Date.now() > backMs, { timeoutMs: 4 * TOKEN_LIFETIME_MS, intervalMs: 100 });
    expect(await place.harness.status(runId)).toMatchObject({ phase: 'running' });
    place.front.lead(trainer.port);
    expect(await place.see(runId)).toMatchObject({ reason: 'succeeded', outcome: { step: steps } });
    const told = (await place.harness.messages(runId)).flatMap(({ event }) =>
      event.type === 'step' ? [event.step] : [],
    );
    expect(told).toEqual(Array.from({ length: steps }, (_, index) => index + 1));
  });

  it('leave nothing of an older attempt when the next one was stopped before it was made', async () => {
    const runId = await place.put({ type: 'fault', code: 'data.bad', afterMs: 100 });
    await place.harness.waitForEnd(runId);
    await place.change(runId, { attempt: 2, desired: 'stopped', stopReason: 'cancel', seen: { attempt: 1 } });
    expect(await place.harness.waitForEnd(runId, 2)).toMatchObject({ reason: 'stopped' });
    expect(await isThere(objectOf(runId))).toBe(true);
    await place.change(runId, { closed: true });
    await place.untilNoObjects();
  });

  it('leave alone what is not theirs, and what nobody knows of is removed after its bound', async () => {
    const orphan = newId('run');
    const foreign = newId('run');
    const labelled = newId('run');
    await suspendedJob(objectOf(foreign), {});
    await suspendedJob(objectOf(labelled), { 'app.kubernetes.io/managed-by': 'luthier-trainer' });
    await suspendedJob(objectOf(orphan), labelsOf({ runId: orphan, attempt: 1 }));
    await waitFor(async () => !(await isThere(objectOf(orphan))), { what: 'the orphan to go' });
    const spec = await place.harness.makeSpec({}, { profile: 'cpu' });
    for (const runId of [foreign, labelled]) {
      await place.harness.runs.put('spec', { ...spec, runId });
      expect(await place.harness.waitForEnd(runId)).toMatchObject({ reason: 'name-taken' });
      await place.harness.runs.put('spec', { ...spec, runId, generation: 2, closed: true });
    }
    const after = await place.put({ type: 'done', afterMs: 100 });
    expect(await place.see(after)).toMatchObject({ reason: 'succeeded' });
    expect([await isThere(objectOf(foreign)), await isThere(objectOf(labelled))]).toEqual([true, true]);
    expect([foreign, labelled].map((runId) => place.witness.released.has(objectOf(runId)))).toEqual([false, false]);
  });
});

/** On a busy machine it may have ended before anybody looks. */
const hasBegun = ({ phase }: RunStatus): boolean => phase === 'running' || phase === 'ended';

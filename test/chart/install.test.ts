import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { LuthierClient } from '@luthier/api-client';
import { waitFor } from '@luthier/testing';
import { canRunHelm, canRunKubernetes, canRunPodProcesses } from '@luthier/testing/kube';
import type { Pod, ServiceDoor } from '@luthier/testing/kube';
import { LONG_RUN, expectWholeAndSingle, jobOf, submitJob, waitForEnd, waitForTraining } from '../e2e/support/jobs.js';
import type { Job } from '../e2e/support/jobs.js';
import { requirement } from '../e2e/support/requirement.js';
import { allObjects } from './support/all-objects.js';
import { holdRun } from './support/held-run.js';
import { FIRST_TAG, InstalledChart, SECOND_TAG } from './support/installed-chart.js';
import { Visitor } from './support/visitor.js';

const rootForPostgres = requirement(
  process.getuid?.() === 0,
  'the chart installed: Postgres as another user needs root',
);
const canRun = rootForPostgres && (await canRunHelm()) && (await canRunPodProcesses()) && (await canRunKubernetes());
const inCluster = canRun ? describe : describe.skip;

const SECRETS = ['luthier-api-key', 'luthier-nats-users', 'luthier-postgres', 'luthier-run-tokens'];
const CLAIMS = ['luthier-artifacts', 'data-luthier-postgres-0', ...[0, 1, 2].map((n) => `data-luthier-nats-${n}`)];
/** Bounds are for what hangs. */
const GONE = { timeoutMs: 240_000, what: 'pods to be gone' };

inCluster('the chart, installed', () => {
  jest.setTimeout(900_000);
  let chart: InstalledChart;
  let before: ReadonlySet<string>;
  let door: ServiceDoor;
  let client: LuthierClient;
  let first: Job;
  let secrets: unknown;

  beforeAll(async () => {
    chart = await InstalledChart.prepare();
    before = await allObjects(chart.cluster.api);
  });
  afterAll(() => chart.stop());

  it('has all its pods ready when Helm says that it is installed', async () => {
    await explained(chart.install());
    const pods = await standing();
    expect(pods.map(partOf).toSorted()).toEqual([
      ...['datasets', 'evaluation', 'gateway', 'inference', 'nats', 'nats', 'nats', 'postgres', 'registry', 'trainer'],
      ...['training', 'web'],
    ]);
    expect(pods.filter(({ status }) => status?.containerStatuses?.some(({ ready }) => !ready))).toEqual([]);
    secrets = await allSecrets();
    await chart.claimArtifactsForRuns();
    door = await chart.door();
    client = await chart.client(door);
  });

  it('passes its own test', async () => {
    expect(await explained(chart.test())).toMatch(/Phase:\s+Succeeded/);
  });

  it('trains the main job through the service of the gateway, and ends with a model and an evaluation', async () => {
    const { id } = await submitJob(client, { steps: 20, heldOut: true });
    first = await explained(waitForEnd(client, id));
    expect(first).toMatchObject({ status: 'succeeded', phase: 'done', error: null });
    await expectWholeAndSingle(client, first);
  });

  it('loses no run and no request while it is upgraded, and keeps its passwords', async () => {
    const { id, goOn } = await runUnderWay();
    const { 'api-key': apiKey = '' } = await chart.secret('luthier-api-key');
    // What a service is asked over NATS in the moment when it goes may have to be asked again; clients of the API do that.
    const ofJob = new Visitor(door, { path: `/api/v1/jobs/${id}`, apiKey, patience: 1 });
    const ofPage = new Visitor(door, { path: '/sign-in' });
    await explained(chart.upgrade('--set', `image.tag=${SECOND_TAG}`));
    await untilOldPodsAreGone();
    for (const answers of await Promise.all([ofJob.leave(), ofPage.leave()])) {
      expect(answers.length).toBeGreaterThan(10);
      expect(answers.filter((answer) => answer !== 200)).toEqual([]);
    }
    expect(await tagsOfStanding()).toEqual([SECOND_TAG]);
    expect(await allSecrets()).toEqual(secrets);
    await expectGoesOn(id, goOn);
  });

  it('loses no run when it goes back by one revision, and has all that was there before', async () => {
    const { id, goOn } = await runUnderWay();
    await explained(chart.rollback(1));
    await untilOldPodsAreGone();
    expect(await tagsOfStanding()).toEqual([FIRST_TAG]);
    expect(await allSecrets()).toEqual(secrets);
    expect(await jobOf(client, first.id)).toEqual(first);
    await expectGoesOn(id, goOn);
  });

  it('leaves nothing when it is uninstalled but what holds data or keys', async () => {
    await chart.uninstall();
    const ofRuns = [
      // Kubernetes makes them in every namespace.
      ...['ServiceAccount/default', 'ConfigMap/kube-root-ca.crt'],
      // By it trainers agree who decides.
      'Lease/luthier-trainer',
      // The administrator has made it.
      'PersistentVolumeClaim/artifacts',
    ];
    const wanted = [
      `Namespace/${chart.runs}`,
      ...ofRuns.map((object) => `${chart.runs}/${object}`),
      ...SECRETS.map((name) => `${chart.namespace}/Secret/${name}`),
      ...CLAIMS.map((name) => `${chart.namespace}/PersistentVolumeClaim/${name}`),
    ];
    await waitFor(async () => (await chart.pods()).length === 0, { ...GONE, intervalMs: 200 });
    // Kubernetes collects what belonged to others in its own time.
    const looksSo = async (): Promise<boolean> => (await leftOver()).join() === wanted.toSorted().join();
    await waitFor(looksSo, { ...GONE, intervalMs: 1_000 }).catch(() => undefined);
    expect(await leftOver()).toEqual(wanted.toSorted());
  });

  it('has everything again when it is installed anew under its name', async () => {
    await explained(chart.install());
    expect(await allSecrets()).toEqual(secrets);
    expect(await jobOf(client, first.id)).toEqual(first);
  });

  /** A run that has made steps and a checkpoint, and makes no more until it may go on. */
  async function runUnderWay(): Promise<{ id: string; goOn: () => void }> {
    const { id } = await submitJob(client, LONG_RUN);
    await explained(waitForTraining(client, id));
    const { run_id: runId } = await jobOf(client, id);
    return { id, goOn: await holdRun(chart, runId ?? '') };
  }

  /** The same attempt, in the same pod, makes all its steps. */
  async function expectGoesOn(id: string, goOn: () => void): Promise<void> {
    expect(await jobOf(client, id)).toMatchObject({ phase: 'training', attempts: [{ attempt: 1, ended_at: null }] });
    goOn();
    const job = await explained(waitForEnd(client, id));
    expect(job).toMatchObject({ status: 'succeeded', attempts: [{ attempt: 1, resumed_from_step: null }] });
    await expectWholeAndSingle(client, job);
  }

  /** Pods that are to stay: not those of Jobs and tests, and not those that are going. */
  async function standing(): Promise<Pod[]> {
    return (await chart.pods()).filter(
      ({ metadata: { deletionTimestamp }, spec }) => deletionTimestamp === undefined && spec.restartPolicy === 'Always',
    );
  }

  /** What the release's namespaces and the cluster have more than before. */
  async function leftOver(): Promise<string[]> {
    const elsewhere = (object: string): boolean =>
      object.split('/').length === 3 && ![chart.namespace, chart.runs].includes(object.split('/')[0] ?? '');
    const all = [...(await allObjects(chart.cluster.api))];
    return all.filter((object) => !before.has(object) && !elsewhere(object)).toSorted();
  }

  async function tagsOfStanding(): Promise<string[]> {
    const images = (await standing()).map(({ spec }) => spec.containers[0]?.image ?? '');
    const ours = images.filter((image) => image.startsWith('luthier/'));
    return [...new Set(ours.map((image) => image.split(':')[1] ?? ''))];
  }

  const partOf = ({ metadata }: Pod): string => metadata.labels?.['app.kubernetes.io/component'] ?? '';
  const allSecrets = (): Promise<unknown> => Promise.all(SECRETS.map((name) => chart.secret(name)));
  const untilOldPodsAreGone = (): Promise<unknown> =>
    waitFor(async () => (await chart.pods()).every(({ metadata }) => metadata.deletionTimestamp === undefined), GONE);

  /** @throws what `work` throws, with what the pods have logged. */
  const explained = <T>(work: Promise<T>): Promise<T> =>
    work.catch(async (cause: unknown) => {
      throw new Error(`${String(cause)}\n${await chart.said()}`, { cause });
    });
});

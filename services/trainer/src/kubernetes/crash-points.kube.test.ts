import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { idTail } from '@luthier/contracts';
import { canRunKubernetes } from '@luthier/testing/kube';
import type { Judge, Verdict } from '../testing/cluster/calls.js';
import type { Plan } from '../testing/cluster/run-plans.js';
import { TrainingCluster } from '../testing/cluster/training-cluster.js';

const inCluster = (await canRunKubernetes()) ? describe : describe.skip;
const MAX_WHOLE_LIVES = 5;

inCluster('a trainer that dies at any of its steps', () => {
  let place: TrainingCluster;
  /** The run at whose steps the trainer of now dies, how, and what the first step that counts says. */
  let target: { tail: string; at: number; verdict: Verdict; from: string } | undefined;
  let steps: string[] = [];
  let next: Promise<unknown> = Promise.resolve();

  const judge: Judge = ({ what, about }) => {
    if (!target || !about.includes(target.tail)) return 'pass';
    if (steps.length === 0 && !about.includes(target.from)) return 'pass';
    steps.push(what);
    return steps.length === target.at ? target.verdict : 'pass';
  };
  const begin = async (): Promise<void> => {
    await place.dropLease();
    await place.startTrainer({ judge, died: () => void (next = takeOver()) });
  };
  const takeOver = async (): Promise<void> => {
    target = undefined;
    await begin();
  };
  beforeAll(async () => {
    place = await TrainingCluster.start();
    await begin();
  }, 900_000);
  afterAll(() => place.stop());

  /** @returns whether the trainer had a step of that number, and died there. */
  async function dieAt(at: number, verdict: Verdict, plan: Plan, from: string): Promise<boolean> {
    steps = [];
    const runId = await place.put(plan, {}, (id) => (target = { tail: idTail(id), at, verdict, from }));
    const status = await place.see(runId);
    const { seen, planned } = place.ends([status]);
    expect(seen).toEqual(planned);
    await place.untilNoObjects();
    await next;
    expect(new Set(place.released([runId]))).toEqual(new Set([1]));
    const died = target === undefined;
    target = undefined;
    return died;
  }

  /**
   * At each step of a run's life. Who takes over knows only what the world knows: dying before the n-th step is the same as
   * dying after the one before it. How many steps a life has depends on what is told between two looks: what a whole life
   * has shown and no trainer has died at yet is tried again.
   */
  async function dieEverywhere(plan: Plan, from = ''): Promise<string[]> {
    const died: string[] = [];
    expect(await dieAt(1, 'die-before', plan, from)).toBe(true);
    for (let at = 1, lives = 0; lives < MAX_WHOLE_LIVES; at++) {
      if (await dieAt(at, 'die-after', plan, from)) {
        died.push(steps[at - 1] ?? '');
        continue;
      }
      at = steps.findIndex((what) => !died.includes(what));
      if (at < 0) break;
      lives += 1;
    }
    return died;
  }

  it('while a run is made and ends: it ends as its pods ended, one Job of it ever ran, nothing is left', async () => {
    const died = await dieEverywhere({ type: 'done', afterMs: 300 });
    expect(new Set(died)).toEqual(
      new Set([
        ...['PUT status', 'POST jobs', 'PATCH configmaps', 'PATCH secrets', 'PATCH services', 'PATCH jobs'],
        'DELETE jobs',
      ]),
    );
  });

  it.each<[string, Plan, string]>([
    ['a run that fails is collected', { type: 'fault', code: 'data.bad', afterMs: 300 }, '"phase":"ended"'],
    ['a run saves and leaves because it was told to', { type: 'obeys' }, '"phase":"stopping"'],
    ['a run that hears nothing is stopped by force', { type: 'deaf' }, '"phase":"stopping"'],
    ['a run leaves and goes on elsewhere because it was told to', { type: 'moves' }, '"phase":"stopping"'],
  ])('while %s', async (_name, plan, from) => {
    expect(await dieEverywhere(plan, from)).toEqual(expect.arrayContaining(['PUT status', 'DELETE jobs']));
  });
});

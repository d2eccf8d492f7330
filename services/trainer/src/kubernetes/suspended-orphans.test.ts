import { beforeEach, describe, expect, it } from '@jest/globals';
import { newId } from '@luthier/contracts';
import type { Root } from './carriers/carrier.js';
import { ANNOTATION, labelsOf } from './names.js';
import { SuspendedOrphans } from './suspended-orphans.js';

const runId = newId('run');
const jobOf = (over: { suspend?: boolean; labels?: Record<string, string>; prepared?: boolean } = {}): Root => ({
  metadata: {
    ...{ name: 'ft-x-1', uid: 'u1', labels: over.labels ?? labelsOf({ runId, attempt: 1 }) },
    annotations: over.prepared === true ? { [ANNOTATION.prepared]: 'true' } : {},
  },
  spec: { suspend: over.suspend ?? true },
});

describe('a suspended Job of ours', () => {
  let now = 0;
  let jobs: Root[];
  let isKnown: boolean;
  let deleted: string[];
  let orphans: SuspendedOrphans;
  beforeEach(() => {
    now = 0;
    jobs = [jobOf()];
    isKnown = false;
    deleted = [];
    orphans = new SuspendedOrphans({
      ...{ roots: () => jobs, isKnown: async () => isKnown, boundMs: 1_000, now: () => now },
      delete: async ({ metadata }) => void deleted.push(`${metadata?.name}/${metadata?.uid}`),
      logger: { info: () => undefined, warn: () => undefined },
    });
  });
  const sweepAt = async (...times: number[]): Promise<string[]> => {
    for (const time of times) {
      now = time;
      await orphans.sweep();
    }
    return deleted;
  };

  it('is deleted once nothing has been known of its run for the bound, and not before', async () => {
    expect(await sweepAt(0, 999)).toEqual([]);
    expect(await sweepAt(1_000)).toEqual(['ft-x-1/u1']);
  });

  it('is left alone while its run is known, and the bound begins anew when it was', async () => {
    isKnown = true;
    expect(await sweepAt(0, 5_000)).toEqual([]);
    isKnown = false;
    await sweepAt(6_000);
    isKnown = true;
    await sweepAt(6_500);
    isKnown = false;
    expect(await sweepAt(7_000, 7_900)).toEqual([]);
    expect(await sweepAt(8_000)).toEqual(['ft-x-1/u1']);
  });

  it.each([
    ['runs', jobOf({ suspend: false })],
    ['was let go once and is suspended by a queue', jobOf({ prepared: true })],
    ['names no run', jobOf({ labels: { 'app.kubernetes.io/managed-by': 'luthier-trainer' } })],
  ])('is left alone when it %s', async (_name, job) => {
    jobs = [job];
    expect(await sweepAt(0, 5_000, 50_000)).toEqual([]);
  });
});

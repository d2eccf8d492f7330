import { describe, expect, it } from '@jest/globals';
import { newId } from '@luthier/contracts';
import type { Root } from './carriers/carrier.js';
import { KubernetesExecutor } from './kubernetes-executor.js';
import type { KubernetesExecutorParts } from './kubernetes-executor.js';
import { ANNOTATION, labelsOf, objectNameOf } from './names.js';

const runId = newId('run');
const NOW = '2026-01-01T00:01:00Z';
const attempt = (number: number, annotations: Record<string, string>, status: NonNullable<Root['status']>): Root => ({
  metadata: { name: objectNameOf(runId, number), labels: labelsOf({ runId, attempt: number }), annotations },
  status,
});

describe('the time for which a run has run', () => {
  it('is what its newest attempt has run and what that has inherited from older ones, also while they are still there', async () => {
    const ended = { type: 'Failed', status: 'True', lastTransitionTime: '2026-01-01T00:00:30Z' };
    const roots = [
      attempt(1, {}, { startTime: '2026-01-01T00:00:00Z', conditions: [ended] }),
      attempt(2, { [ANNOTATION.ranSeconds]: '30' }, { startTime: '2026-01-01T00:00:45Z' }),
    ];
    const parts = {
      objects: { roots: () => roots },
      workloads: { pastSecondsOf: () => 0 },
      now: () => Date.parse(NOW),
    };
    const executor = new KubernetesExecutor(parts as unknown as KubernetesExecutorParts);
    expect(await executor.runningMs(runId)).toBe(45_000);
    roots.pop();
    expect(await executor.runningMs(runId)).toBe(30_000);
  });
});

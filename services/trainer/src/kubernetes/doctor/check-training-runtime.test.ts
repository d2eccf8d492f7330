import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type { ClusterCheck } from '@luthier/contracts';
import type { KubeClient, KubeObject } from '@luthier/kube';
import { parse } from 'yaml';
import { cpuProfile } from '../../testing/cluster-profiles.js';
import { checkTrainingRuntime } from './check-training-runtime.js';

const SHIPPED = readFileSync(new URL('../../../../../docs/reference/training-runtime.yaml', import.meta.url), 'utf8');
const profile = cpuProfile({ carrier: { type: 'train-job', runtime: 'luthier' } });

async function look(text: string): Promise<ClusterCheck | undefined> {
  const client = { get: () => Promise.resolve(parse(text) as KubeObject) } as unknown as Pick<KubeClient, 'get'>;
  return (await checkTrainingRuntime(client, profile, 'runs'))[0];
}

describe('the training runtime of a profile', () => {
  it('fits as it is shipped', async () => {
    expect(await look(SHIPPED)).toMatchObject({ id: 'training-runtime-fits', state: 'ok' });
  });

  it.each([
    ['backoffLimit: 0', 'backoffLimit: 6', 'backoffLimit: 0'],
    ['maxRestarts: 0', 'maxRestarts: 3', 'failurePolicy.maxRestarts: 0'],
    ['restartPolicy: Never', 'restartPolicy: OnFailure', 'restartPolicy: Never'],
    ['terminationGracePeriodSeconds: 60', 'hostNetwork: false', 'terminationGracePeriodSeconds'],
    ['podReplacementPolicy: Failed', 'parallelism: 1', 'podReplacementPolicy: Failed'],
    ['automountServiceAccountToken: false', 'hostNetwork: false', 'automountServiceAccountToken: false'],
    ['/run/termination-log', '/dev/termination-log', 'terminationMessagePath: /run/termination-log'],
    ['torch: {}', 'plain: {}', 'mlPolicy.torch'],
    ['- name: node\n                      image', '- name: main\n                      image', 'containers.name: node'],
  ])('does not fit with %s as %s', async (right, wrong, wanted) => {
    expect(SHIPPED).toContain(right);
    expect(await look(SHIPPED.replace(right, wrong))).toMatchObject({
      ...{ id: 'training-runtime-unfit', state: 'fail' },
      params: { kind: 'ClusterTrainingRuntime', name: 'luthier', wanted: expect.stringContaining(wanted) },
    });
  });
});

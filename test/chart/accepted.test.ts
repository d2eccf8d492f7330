import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { canRunHelm, canRunKubernetes, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, KubeObject } from '@luthier/testing/kube';
import { presets, render } from './support/helm.js';

const inCluster = (await canRunHelm()) && (await canRunKubernetes()) ? describe : describe.skip;
const names = await presets();

inCluster("an API server, of the chart's objects", () => {
  let cluster: ControlPlane;

  beforeAll(async () => {
    cluster = await startControlPlane();
    const namespace = (name: string): KubeObject => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    await cluster.apply(namespace('luthier'), namespace('n-runs'));
  }, 120_000);

  afterAll(() => cluster.stop());

  it.each(names)('takes every field as it is meant, as %s', async (preset) => {
    const objects = await render(preset);
    expect(objects.length).toBeGreaterThan(30);
    const strictly = { dryRun: 'All', fieldValidation: 'Strict' };
    const taken = await Promise.all(objects.map((object) => cluster.api.apply(object, strictly)));
    expect(taken.map(({ kind }) => kind)).toEqual(objects.map(({ kind }) => kind));
  });
});

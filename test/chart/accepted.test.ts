import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import {
  applyDefinitions,
  canRunHelm,
  canRunKubernetes,
  canRunKueue,
  ensureChartResources,
  ensureKueue,
  removeDefinitions,
  startControlPlane,
} from '@luthier/testing/kube';
import type { ControlPlane, KubeObject } from '@luthier/testing/kube';
import { presets, render } from './support/helm.js';

const canRun = (await canRunHelm()) && (await canRunKubernetes()) && (await canRunKueue());
const inCluster = canRun ? describe : describe.skip;
const names = await presets();

inCluster("an API server, of the chart's objects", () => {
  let cluster: ControlPlane;
  const definitions: string[] = [];

  beforeAll(async () => {
    cluster = await startControlPlane();
    const namespace = (name: string): KubeObject => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    await cluster.apply(namespace('luthier'), namespace('n-runs'));
    for (const { dir, missing } of [await ensureChartResources(), await ensureKueue()]) {
      if (dir === undefined) throw new Error(missing);
      definitions.push(...(await applyDefinitions(cluster.api, join(dir, 'crds'))));
    }
  }, 300_000);

  afterAll(async () => {
    await removeDefinitions(cluster.api, definitions);
    await cluster.stop();
  });

  it.each(names)('takes every field as it is meant, as %s', async (preset) => {
    const objects = await render(preset);
    expect(objects.length).toBeGreaterThan(30);
    const strictly = { dryRun: 'All', fieldValidation: 'Strict' };
    const taken = await Promise.all(objects.map((object) => cluster.api.apply(object, strictly)));
    expect(taken.map(({ kind }) => kind)).toEqual(objects.map(({ kind }) => kind));
  });
});

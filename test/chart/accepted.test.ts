import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { waitFor } from '@luthier/testing';
import {
  applyDefinitions,
  canRunHelm,
  canRunKubernetes,
  canRunKueue,
  ensureChartResources,
  ensureKueue,
  ifFound,
  startControlPlane,
} from '@luthier/testing/kube';
import type { ControlPlane, KubeObject } from '@luthier/testing/kube';
import { presets, render } from './support/helm.js';

const canRun = (await canRunHelm()) && (await canRunKubernetes()) && (await canRunKueue());
const inCluster = canRun ? describe : describe.skip;
const names = await presets();
const MONITORED = ['--set', 'monitoring.enabled=true', '--api-versions', 'monitoring.coreos.com/v1'];
const STRICTLY = { dryRun: 'All', fieldValidation: 'Strict' };

interface Named {
  name: string;
}
type Workload = KubeObject & {
  spec?: {
    template?: KubeObject & { spec: { volumes?: Named[] } };
    volumeClaimTemplates?: { metadata: Named }[];
  };
};

/** The first pod that a controller would make of the object, if it is one that makes pods. */
function podOf(object: Workload): KubeObject[] {
  const { template, volumeClaimTemplates = [] } = object.spec ?? {};
  if (template === undefined) return [];
  const metadata = { ...template.metadata, name: `${object.metadata?.name}-0`, namespace: 'luthier' };
  const claimed = volumeClaimTemplates.map(({ metadata: { name } }) => ({ name, emptyDir: {} }));
  const volumes = [...(template.spec.volumes ?? []), ...claimed];
  return [{ apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...template.spec, volumes } }];
}

inCluster("an API server, of the chart's objects", () => {
  let cluster: ControlPlane;

  beforeAll(async () => {
    cluster = await startControlPlane();
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    const namespace = (name: string): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels },
    });
    await cluster.apply(namespace('luthier'), namespace('n-runs'));
    const account = '/api/v1/namespaces/luthier/serviceaccounts/default';
    await waitFor(async () => (await ifFound(cluster.api.get(account))) !== undefined, { what: 'the default account' });
    for (const { dir, missing } of [await ensureChartResources(), await ensureKueue()]) {
      if (dir === undefined) throw new Error(missing);
      await applyDefinitions(cluster.api, join(dir, 'crds'));
    }
  }, 300_000);

  // The kinds stay, which no other test minds: to take them away may last minutes.
  afterAll(() => cluster.stop());

  it.each(names)('takes every field as it is meant, as %s', async (preset) => {
    const objects = await render(preset, ...MONITORED);
    expect(objects.length).toBeGreaterThan(30);
    expect(objects.filter(({ apiVersion }) => apiVersion === 'monitoring.coreos.com/v1')).toHaveLength(2);
    const taken = await Promise.all(objects.map((object) => cluster.api.apply(object, STRICTLY)));
    expect(taken.map(({ kind }) => kind)).toEqual(objects.map(({ kind }) => kind));
  });

  it.each(names)('takes every pod into a namespace of the level "restricted", as %s', async (preset) => {
    const objects = await render(preset);
    // A pod is taken only where its account is.
    const accounts = objects.filter(({ kind }) => kind === 'ServiceAccount');
    await Promise.all(accounts.map((account) => cluster.api.apply(account)));
    const pods = objects.flatMap(podOf);
    expect(pods.length).toBeGreaterThan(9);
    await Promise.all(pods.map((pod) => cluster.api.apply(pod, STRICTLY)));
  });

  it('would refuse a pod that may become root', async () => {
    const metadata = { name: 'root', namespace: 'luthier' };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'root', image: 'root' }] } };
    await expect(cluster.api.apply(pod, STRICTLY)).rejects.toThrow(/violates PodSecurity "restricted/);
  });
});

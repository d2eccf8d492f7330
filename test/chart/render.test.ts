import { describe, expect, it } from '@jest/globals';
import { canRunHelm } from '@luthier/testing/kube';
import type { KubeObject } from '@luthier/testing/kube';
import { CHART, RELEASE, helm, presets, render, valuesOf } from './support/helm.js';

/** How many of each kind a preset makes. */
const KINDS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  minimal: {
    ...{ ClusterRole: 1, ClusterRoleBinding: 1, ConfigMap: 2, Deployment: 8, Job: 1, Namespace: 1, NetworkPolicy: 12 },
    ...{ PersistentVolumeClaim: 1, Role: 1, RoleBinding: 1, Secret: 4, Service: 6, ServiceAccount: 11, StatefulSet: 2 },
  },
  external: {
    ...{ ClusterRole: 1, ClusterRoleBinding: 1, ConfigMap: 1, Deployment: 8, Ingress: 1, Job: 1, Namespace: 1 },
    ...{ NetworkPolicy: 10, PodDisruptionBudget: 4, ResourceQuota: 1, Role: 1, RoleBinding: 1, Service: 3 },
    ServiceAccount: 9,
  },
};

const countKinds = (objects: readonly KubeObject[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { kind = '' } of objects) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
};

const withHelm = (await canRunHelm()) ? describe : describe.skip;

withHelm('the chart', () => {
  it('has a table of kinds for each preset', async () => {
    expect(await presets()).toEqual(Object.keys(KINDS).toSorted());
  });

  it.each(Object.keys(KINDS))('passes the strict lint and makes the listed kinds as %s', async (preset) => {
    expect(await helm('lint', '--strict', CHART, '--values', valuesOf(preset))).toContain('0 chart(s) failed');
    expect(countKinds(await render(preset))).toEqual(KINDS[preset]);
  });

  it.each([
    ['a value that there is not', ['--set', 'ingres.enabled=true'], /additional properties 'ingres' not allowed/],
    ['two servers of NATS', ['--set', 'nats.replicas=2'], /nats\/replicas/],
    [
      'an image without its digest',
      ['--set', 'runs.runtimes.runtime-node.digest='],
      /runtime-node\.digest: the digest/,
    ],
    ['no NATS', ['--set', 'nats.bundled=false'], /nats\.url: where your NATS is/],
    ['no Postgres', ['--set', 'database.bundled=false'], /database\.existingSecret: the URL of your Postgres/],
    [
      'a volume that runs cannot mount',
      ['--set', 'artifacts.volume.runsClaim='],
      /artifacts\.volume\.runsClaim: the claim/,
    ],
    ['an Ingress without a host', ['--set', 'ingress.enabled=true'], /ingress\.host: the host name/],
  ])('is refused with %s, by name', async (_what, settings, said) => {
    await expect(render('minimal', ...settings)).rejects.toThrow(said);
  });

  it('keeps labels texts under a name that YAML takes for something else', async () => {
    for (const { metadata } of await render('minimal'))
      for (const value of Object.values(metadata?.labels ?? {})) expect(typeof value).toBe('string');
    const [first] = await render('minimal');
    expect(first?.metadata?.labels).toMatchObject({ 'app.kubernetes.io/instance': RELEASE });
  });

  it('takes every image from the registry in front', async () => {
    const text = JSON.stringify(await render('minimal', '--set', 'global.imageRegistry=mirror.example:5000'));
    const images = [...text.matchAll(/\\?"image\\?":\\?"([^"\\]+)/g)].map(([, image = '']) => image);
    expect(images).toHaveLength(12);
    for (const image of images) expect(image).toMatch(/^mirror\.example:5000\//);
  });
});

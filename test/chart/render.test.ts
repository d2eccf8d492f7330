import { describe, expect, it } from '@jest/globals';
import { canRunHelm } from '@luthier/testing/kube';
import type { KubeObject } from '@luthier/testing/kube';
import { CHART, RELEASE, helm, presets, render, valuesOf } from './support/helm.js';

/** What every preset makes; each says below how many of what else. */
const ALWAYS = { ClusterRole: 1, ClusterRoleBinding: 1, Deployment: 8, Job: 2, Pod: 1, Role: 1 };
const BUNDLED = {
  ...{ ConfigMap: 2, NetworkPolicy: 14, RoleBinding: 1, Secret: 4, Service: 6, ServiceAccount: 11, StatefulSet: 2 },
};
/** With a bucket runs have a namespace of their own. */
const WITH_BUCKET = { ...ALWAYS, ...BUNDLED, Namespace: 1, PodDisruptionBudget: 5 };
const ON_ONE_NODE = { ...ALWAYS, ...BUNDLED, PersistentVolumeClaim: 1 };

/** How many of each kind a preset makes. */
const KINDS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  minimal: ON_ONE_NODE,
  'single-gpu': ON_ONE_NODE,
  ha: {
    ...WITH_BUCKET,
    ...{ HTTPRoute: 1, HorizontalPodAutoscaler: 2, LimitRange: 1, NetworkPolicy: 13, ResourceQuota: 1, Secret: 3 },
    ...{ Service: 5, ServiceAccount: 10, StatefulSet: 1 },
  },
  external: {
    ...ALWAYS,
    ...{ ConfigMap: 1, Ingress: 1, Namespace: 1, NetworkPolicy: 12, PodDisruptionBudget: 4, ResourceQuota: 1 },
    ...{ RoleBinding: 1, Service: 3, ServiceAccount: 9 },
  },
  'air-gap': WITH_BUCKET,
  kueue: { ...WITH_BUCKET, ClusterQueue: 1, LocalQueue: 1, ResourceFlavor: 1 },
  openshift: { ...WITH_BUCKET, Ingress: 1, RoleBinding: 3 },
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
    ['a volume that runs cannot mount', ['--set', 'runs.namespace=apart'], /artifacts\.volume\.runsClaim: the claim/],
    ['a quota that would count for the platform', ['--set', 'runs.quota.pods=5'], /runs\.quota.*: they would count/],
    [
      'more trainers as there is more to do',
      ['--set', 'services.trainer.autoscaling.maxReplicas=3'],
      /services\.trainer\.autoscaling: only/,
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
    expect(new Set(images).size).toBe(12);
    for (const image of images) expect(image).toMatch(/^mirror\.example:5000\//);
    const settings = [
      '--namespace',
      'luthier',
      '--values',
      valuesOf('minimal'),
      '--set',
      'global.imageRegistry=mirror.example:5000',
    ];
    const printed = await helm('install', RELEASE, CHART, '--dry-run=client', ...settings);
    const [, list = ''] = printed.split('Images that the registry in front must have:');
    expect(list.trim().split(/\s+/).toSorted()).toEqual([...new Set(images)].toSorted());
  });
});

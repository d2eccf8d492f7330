import { describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { canRunHelm } from '@luthier/testing/kube';
import type { KubeObject } from '@luthier/testing/kube';
import { RELEASE, render } from './support/helm.js';
import { mayConnect } from './support/reachability.js';
import type { NetworkPolicy, Peer } from './support/reachability.js';

const PAGE = new URL('../../docs/reference/chart.md', import.meta.url);

/** The table under "Who may speak to whom": for each part the `part:port` that it reaches. */
async function documented(): Promise<Map<string, string[]>> {
  const [, section = ''] = (await readFile(PAGE, 'utf8')).split('## Who may speak to whom');
  const [table = ''] = section.split('\n## ');
  const rows = [...table.matchAll(/^\| `([a-z]+)` *\| (.*?) *\|/gm)];
  return new Map(
    rows.map(([, part = '', cell = '']) => [part, [...cell.matchAll(/`([a-z]+:\d+)`/g)].map(([, one = '']) => one)]),
  );
}

interface PodOf {
  metadata?: { labels?: Record<string, string> };
  spec?: { containers?: { ports?: { containerPort: number }[] }[] };
}
/** A pod, or what makes pods. */
type Workload = KubeObject & { spec?: PodOf['spec'] & { template?: PodOf } };

const withHelm = (await canRunHelm()) ? describe : describe.skip;

withHelm('the network policies, as rules (that a network enforces them is not tested here)', () => {
  it('let each part reach what the reference names, and nothing else', async () => {
    const objects = await render('air-gap');
    const policies = objects.filter((object): object is NetworkPolicy => object.kind === 'NetworkPolicy');
    const peers = new Map<string, Peer & { ports: readonly number[] }>([
      ['run', { namespace: `${RELEASE}-runs`, labels: { 'luthier.dev/run-id': 'r1' }, ports: [29_500] }],
      ['stranger', { namespace: 'elsewhere', labels: {}, ports: [] }],
    ]);
    for (const object of objects as Workload[]) {
      const pod = object.kind === 'Pod' ? object : object.spec?.template;
      const { labels } = pod?.metadata ?? {};
      const part = labels?.['app.kubernetes.io/component'];
      if (part === undefined || !labels) continue;
      const ports = pod?.spec?.containers?.flatMap((one) => one.ports ?? []).map(({ containerPort }) => containerPort);
      peers.set(part, { namespace: 'luthier', labels, ports: ports ?? [] });
    }
    const reached = (from: Peer): string[] =>
      [...peers].flatMap(([name, to]) =>
        to.ports.filter((port) => mayConnect(policies, from, to, port)).map((port) => `${name}:${port}`),
      );
    const told = await documented();
    for (const [name, from] of peers) {
      const wanted = told.get(name) ?? [];
      expect({ name, reaches: reached(from).toSorted() }).toEqual({ name, reaches: wanted.toSorted() });
    }
    expect([...told.keys()].toSorted()).toEqual([...peers.keys()].toSorted());
  });

  it('close what no rule opens, where a side has a policy at all', () => {
    const policy = (spec: NetworkPolicy['spec']): NetworkPolicy => ({ metadata: { name: 'p', namespace: 'a' }, spec });
    const one: Peer = { namespace: 'a', labels: { app: 'one' } };
    const two: Peer = { namespace: 'a', labels: { app: 'two' } };
    expect(mayConnect([], one, two, 80)).toBe(true);
    const closed = policy({ podSelector: {}, policyTypes: ['Ingress'], ingress: [] });
    expect(mayConnect([closed], one, two, 80)).toBe(false);
    const from = [{ podSelector: { matchLabels: { app: 'one' } } }];
    const open = policy({
      podSelector: { matchLabels: { app: 'two' } },
      policyTypes: ['Ingress'],
      ingress: [{ from }],
    });
    expect(mayConnect([closed, open], one, two, 80)).toBe(true);
    expect(mayConnect([closed, open], { ...one, namespace: 'b' }, two, 80)).toBe(false);
    expect(mayConnect([closed, open], two, one, 80)).toBe(false);
  });
});

import { describe, expect, it } from '@jest/globals';
import { canRunHelm } from '@luthier/testing/kube';
import type { KubeObject } from '@luthier/testing/kube';
import { render } from './support/helm.js';

const PARTS = ['gateway', 'datasets', 'training', 'trainer', 'evaluation', 'registry', 'inference'];
const OPERATOR = ['--api-versions', 'monitoring.coreos.com/v1'];
const ON = ['--set', 'monitoring.enabled=true'];

/** Objects as the API takes them; only what is looked at. */
interface Rendered extends KubeObject {
  spec?: {
    selector?: { matchLabels: Record<string, string>; matchExpressions: { key: string; values: string[] }[] };
    podMetricsEndpoints?: { port: string; honorLabels: boolean }[];
    groups?: { name: string; rules: Rule[] }[];
    template?: { metadata: { labels: Record<string, string> }; spec: { containers: { ports: { name: string }[] }[] } };
    ingress?: { ports?: { port: number }[]; from?: object[] }[];
  };
  data?: Record<string, string>;
}
interface Rule {
  alert?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

const made = async (...settings: string[]): Promise<Rendered[]> => render('minimal', ...settings);
const ofKind = (objects: readonly Rendered[], kind: string): Rendered[] =>
  objects.filter((object) => object.kind === kind);
const partOf = ({ metadata }: Rendered): string => metadata?.labels?.['app.kubernetes.io/component'] ?? '';
const alertsOf = (objects: readonly Rendered[]): Rule[] =>
  ofKind(objects, 'PrometheusRule')
    .flatMap(({ spec }) => spec?.groups ?? [])
    .flatMap(({ rules }) => rules)
    .filter(({ alert }) => alert !== undefined);

const withHelm = (await canRunHelm()) ? describe : describe.skip;

withHelm('the monitoring of the chart', () => {
  it('is off unless asked for, and needs no operator but for its monitors and rules', async () => {
    const monitored = (objects: Rendered[]): string[] =>
      objects.filter((object) => partOf(object) === 'monitoring').map(({ kind = '' }) => kind);
    expect(monitored(await made(...OPERATOR))).toEqual([]);
    expect(monitored(await made(...ON))).toEqual(['ConfigMap', 'ConfigMap', 'ConfigMap']);
    expect(monitored(await made(...ON, ...OPERATOR)).toSorted()).toEqual([
      ...['ConfigMap', 'ConfigMap', 'ConfigMap'],
      ...['PodMonitor', 'PrometheusRule'],
    ]);
  });

  it('scrapes the port of every service, and leaves the pods of runs their names', async () => {
    const objects = await made(...ON, ...OPERATOR);
    const [monitor] = ofKind(objects, 'PodMonitor');
    const { selector, podMetricsEndpoints } = monitor?.spec ?? {};
    expect(podMetricsEndpoints).toEqual([expect.objectContaining({ port: 'metrics', honorLabels: true })]);
    const scraped = ofKind(objects, 'Deployment').filter(({ spec }) => {
      const labels = spec?.template?.metadata.labels ?? {};
      const same = Object.entries(selector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
      return same && selector?.matchExpressions.every(({ key, values }) => values.includes(labels[key] ?? ''));
    });
    expect(scraped.map(partOf).toSorted()).toEqual(PARTS.toSorted());
    for (const { spec } of scraped) {
      const ports = spec?.template?.spec.containers.flatMap((container) => container.ports.map(({ name }) => name));
      expect(ports).toContain('metrics');
    }
  });

  it('lets Prometheus, and nobody else from outside, to the ports that it scrapes', async () => {
    const from = [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }];
    const open = (objects: Rendered[]): string[] =>
      ofKind(objects, 'NetworkPolicy')
        .filter(({ spec }) =>
          JSON.stringify(spec?.ingress ?? []).includes(JSON.stringify({ ports: [{ port: 9090 }], from }).slice(1, -1)),
        )
        .map(partOf);
    expect(open(await made()).toSorted()).toEqual([]);
    expect(open(await made(...ON)).toSorted()).toEqual(PARTS.toSorted());
  });

  it('gives every alert its runbook and the labels of the site', async () => {
    const labels = [
      '--set',
      'monitoring.rules.alertLabels.team=ml',
      '--set',
      'monitoring.rules.alertLabels.severity=page',
    ];
    const address = ['--set', 'monitoring.rules.runbookBaseUrl=https://books.example/luthier/'];
    const alerts = alertsOf(await made(...ON, ...OPERATOR, ...labels, ...address));
    expect(alerts.length).toBeGreaterThan(10);
    for (const { alert, annotations, labels: own } of alerts) {
      expect(annotations?.['runbook_url']).toBe(`https://books.example/luthier/${alert}.md`);
      expect(own).toEqual({ team: 'ml', severity: 'page' });
    }
  });

  it('leaves out alerts that are not wanted, and those about GPUs where nothing tells of them', async () => {
    const names = async (...settings: string[]): Promise<(string | undefined)[]> =>
      alertsOf(await made(...ON, ...OPERATOR, ...settings)).map(({ alert }) => alert);
    const all = await names();
    expect(await names('--set', 'monitoring.rules.disabled={LuthierRunStalled}')).toEqual(
      all.filter((name) => name !== 'LuthierRunStalled'),
    );
    expect(await names('--set', 'monitoring.rules.gpus=false')).toEqual(
      all.filter((name) => !name?.startsWith('LuthierGpu')),
    );
  });

  it('brings dashboards as the sidecar of Grafana wants them, bound to no data source and no installation', async () => {
    const objects = await made(...ON, '--set', 'monitoring.namespace=monitoring');
    const dashboards = ofKind(objects, 'ConfigMap').filter((object) => partOf(object) === 'monitoring');
    const uids = dashboards.map(({ metadata, data = {} }) => {
      expect(metadata).toMatchObject({
        namespace: 'monitoring',
        labels: { grafana_dashboard: '1' },
        annotations: { grafana_folder: 'Luthier' },
      });
      const [text = ''] = Object.values(data);
      const { id, uid, panels } = JSON.parse(text) as { id?: number; uid: string; panels: object[] };
      expect(id).toBeUndefined();
      expect(panels.length).toBeGreaterThan(5);
      expect(new Set(text.match(/"uid": "[^"]*"/g))).toEqual(new Set([`"uid": "${uid}"`, '"uid": "${datasource}"']));
      return uid;
    });
    expect(uids.toSorted()).toEqual(['luthier-fleet', 'luthier-platform', 'luthier-run']);
  });
});

import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { unwrap } from '@luthier/api-client';
import { removeHome, tempDir, waitFor } from '@luthier/testing';
import { canRunPrometheus } from '@luthier/testing/kube';
import { parse } from 'yaml';
import { TINY_MODEL, jobBody, waitForJob } from '../e2e/support/jobs.js';
import { PlatformProcess } from '../e2e/support/platform-process.js';
import { FakeExporters } from './support/dcgm-exporter.js';
import { GpuCluster, NAMESPACE } from './support/gpu-cluster.js';
import { Prometheus } from './support/prometheus.js';
import type { Series } from './support/prometheus.js';
import { ALERT_RULES } from './support/promtool.js';

interface Dashboard {
  uid: string;
  panels: { id: number; type: string; title: string; targets?: { expr: string }[] }[];
  annotations: { list: { expr: string }[] };
}
interface Query {
  /** Dashboard, panel and which of its queries. */
  key: string;
  expr: string;
}

const FOLDER = fileURLToPath(new URL('../../charts/luthier/dashboards/', import.meta.url));
/** Longer than anything lasts here; ended when everything was seen. */
const ENDLESS = { steps: 20_000, rows: 4_800, batchSize: 12 };
/** So much is in a picture. */
const PICTURE_MS = 60_000;
/** Prometheus finds its targets in batches, five seconds apart. */
const RATE_INTERVAL = '10s';

async function dashboards(): Promise<Dashboard[]> {
  const names = (await readdir(FOLDER)).toSorted();
  return Promise.all(names.map(async (name) => JSON.parse(await readFile(join(FOLDER, name), 'utf8')) as Dashboard));
}

/** Every query of every panel, as Grafana asks it. */
const queriesOf = (all: readonly Dashboard[], runId: string): Query[] =>
  all.flatMap(({ uid, panels }) =>
    panels.flatMap(({ id, title, targets = [] }) =>
      targets.map(({ expr }, at) => ({ key: `${uid} ${id} ${at} ${title}`, expr: withVariables(expr, runId) })),
    ),
  );

const withVariables = (expr: string, runId: string): string =>
  expr.replaceAll('$__rate_interval', RATE_INTERVAL).replaceAll('$run_id', runId);

const hasFigures = (series: readonly Series[]): boolean =>
  series.some(({ values }) => values.some(([, value]) => Number.isFinite(Number(value))));

const withPrometheus = (await canRunPrometheus()) ? describe : describe.skip;

withPrometheus('a real Prometheus that scrapes the platform, a trainer of a cluster, DCGM and Kueue', () => {
  let home: string;
  let platform: PlatformProcess;
  let exporters: FakeExporters;
  let cluster: GpuCluster;
  let prometheus: Prometheus;
  let runId: string;
  let jobId: string;
  let submittedMs: number;
  const beganMs = Date.now();

  /** Ended whatever happens. */
  const running: { stop(): Promise<void> }[] = [];
  const begun = <T extends { stop(): Promise<void> }>(one: T): T => {
    running.push(one);
    return one;
  };

  beforeAll(async () => {
    const dir = await tempDir('dashboards');
    home = join(dir, 'home');
    [platform, cluster, exporters] = await Promise.all([
      PlatformProcess.start({ home }).then(begun),
      GpuCluster.start(dir, ['gpu-1', 'gpu-2']).then(begun),
      FakeExporters.start().then(begun),
    ]);
    const log = await readFile(join(home, 'logs', 'platform.log'), 'utf8');
    const services = [...log.matchAll(/^.*"op":"service.started".*$/gm)].map(
      ([line]) => JSON.parse(line) as { service: string; url: string },
    );
    const ofPod = (container: string, pod: string) => ({ namespace: 'luthier', container, pod });
    const targets = [
      ...services.map(({ service, url }) => ({ address: new URL(url).host, labels: ofPod(service, `${service}-0`) })),
      { address: cluster.address, labels: ofPod('trainer', 'trainer-1') },
    ];
    const { address } = exporters;
    const exporter = { namespace: 'gpu-operator', pod: 'nvidia-dcgm-exporter-x', container: 'exporter' };
    prometheus = await Prometheus.start(dir, [
      { name: 'luthier', honorLabels: true, targets },
      // As some set it up, and as it is without a word.
      { name: 'dcgm-1', path: '/gpu-1/metrics', honorLabels: true, targets: [{ address, labels: exporter }] },
      { name: 'dcgm-2', path: '/gpu-2/metrics', honorLabels: false, targets: [{ address, labels: exporter }] },
      { name: 'kueue', path: '/kueue/metrics', honorLabels: false, targets: [{ address }] },
    ]).then(begun);
    await waitFor(async () => (await prometheus.now('max_over_time(up[1m]) == 1')).length === targets.length + 3);
    const { client } = platform;
    submittedMs = Date.now();
    const body = { ...(await jobBody(client, ENDLESS)), metadata: { project: 'support' } };
    jobId = (await unwrap(client.POST('/v1/fine_tuning/jobs', { body }))).id;
    const training = await waitForJob(client, jobId, ({ progress }) => (progress?.step ?? 0) > 0);
    runId = training.run_id ?? '';
    const plannedMib = training.plan?.total_mib ?? 0;
    for (const [at, name] of ['gpu-1', 'gpu-2'].entries()) {
      const pod = `ft-${runId.slice(4)}-1-${at}`;
      cluster.run(runId, pod, name);
      exporters.show(
        name,
        ['0', '1', '2', '3'].map((gpu) => ({
          ...{
            gpu,
            uuid: `GPU-${name}-${gpu}`,
            usedMib: Math.round(plannedMib * (0.95 - 0.04 * Number(gpu))),
            pod: { namespace: NAMESPACE, name: pod },
          },
          xid: gpu === '3' ? 31 : 0,
        })),
      );
    }
  }, 300_000);

  afterAll(async () => {
    await Promise.all(running.map((one) => one.stop()));
    await removeHome(home);
  });

  /** What a platform in use does besides: answers, errors, a stream that is open. */
  async function use(): Promise<void> {
    await platform.get('/api/v1/jobs/ftjob-aaaaaaaaaaaaaaaaaaaa');
    await platform.get('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: TINY_MODEL, messages: [{ role: 'user', content: 'Hello' }], max_tokens: 8 }),
    });
  }

  /** Rates are of what happens again after it was first seen: a run is begun once more. */
  async function beginAgain(): Promise<void> {
    const params = { path: { job_id: jobId } };
    await unwrap(platform.client.POST('/v1/fine_tuning/jobs/{job_id}/restart', { params, body: { attempt: 1 } }));
    await waitForJob(platform.client, jobId, ({ status, attempts }) => status === 'running' && attempts.length > 1);
  }

  it('has figures for every query of every panel of every dashboard', async () => {
    await beginAgain();
    const all = await dashboards();
    const queries = queriesOf(all, runId);
    expect(queries.length).toBeGreaterThan(50);
    const found = new Map<string, Series[]>();
    const missing = (): string[] =>
      queries.filter(({ key }) => !found.has(key)).map(({ key, expr }) => `${key}: ${expr}`);
    await waitFor(
      async () => {
        await use();
        for (const { key, expr } of queries.filter((query) => !found.has(query.key))) {
          const series = await prometheus.range(expr, beganMs, Date.now());
          if (hasFigures(series)) found.set(key, series);
        }
        return found.size === queries.length;
      },
      { intervalMs: 1_000 },
    ).catch(() => undefined);
    expect(missing()).toEqual([]);
    for (const { annotations } of all)
      for (const { expr } of annotations.list)
        await expect(prometheus.now(withVariables(expr, runId))).resolves.toBeDefined();
  }, 300_000);

  it('joins the GPUs of both nodes to the run, whichever labels they came with', async () => {
    // A scrape may be late once: what is looked for is there, or soon again.
    const seen = async (expr: string, ...labels: string[]): Promise<string[]> =>
      (await prometheus.now(expr)).map((found) => labels.map((label) => found[label]).join(' ')).toSorted();
    const joined = ['gpu-1', 'gpu-2'].map((name) => [name, runId, TINY_MODEL, 'support'].join(' '));
    const ratios = 'max by (Hostname, run_id, base_model, project) (luthier:run_gpu_memory_used_ratio)';
    await waitFor(
      async () => (await seen(ratios, 'Hostname', 'run_id', 'base_model', 'project')).join() === joined.join(),
    );
    const renamed = 'count by (Hostname) (DCGM_FI_DEV_FB_USED{exported_pod!=""})';
    await waitFor(async () => (await seen(renamed, 'Hostname')).join() === 'gpu-2');
  });

  it('can evaluate every rule and every alert, and none fires for a platform that works', async () => {
    const { groups } = parse(await readFile(ALERT_RULES, 'utf8')) as { groups: { rules: { expr: string }[] }[] };
    for (const { expr } of groups.flatMap(({ rules }) => rules)) {
      await expect(prometheus.now(expr)).resolves.toBeDefined();
    }
    await waitFor(async () => (await prometheus.faultyRules()).length === 0);
    expect(await prometheus.now('ALERTS{alertstate="firing"}')).toEqual([]);
  });

  it('forgets the series of the run when it has ended', async () => {
    const pictures = process.env['LUTHIER_DASHBOARD_RESULTS'];
    if (pictures !== undefined) await keepResults(pictures);
    await unwrap(platform.client.POST('/v1/fine_tuning/jobs/{job_id}/cancel', { params: { path: { job_id: jobId } } }));
    await waitFor(async () => (await prometheus.now(`{run_id="${runId}",service="training"}`)).length === 0);
  }, 300_000);

  /** For scripts/dashboard-pictures.mjs: what the panels show, by dashboard, panel and query. */
  async function keepResults(file: string): Promise<void> {
    const results: Record<string, Series[]> = {};
    const fromMs = submittedMs;
    await waitFor(async () => (await use(), Date.now() - fromMs > PICTURE_MS), { intervalMs: 1_000 });
    for (const { key, expr } of queriesOf(await dashboards(), runId)) {
      const [uid, panel, at] = key.split(' ');
      results[`${uid} ${panel} ${at}`] = await prometheus.range(expr, fromMs, Date.now());
    }
    await writeFile(file, JSON.stringify({ fromMs, toMs: Date.now(), results }));
  }
});

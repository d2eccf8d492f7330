import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { tempDir } from '@luthier/testing';
import { canRunPrometheus } from '@luthier/testing/kube';
import { parse, stringify } from 'yaml';
import { ALERT_RULES, RECORDING_RULES, promtool } from './support/promtool.js';
import { LABEL_FORMS, OTHER_CASES, POD_INFO, RUN_INFO, gpuCases } from './support/rule-cases.js';
import type { AlertCase, Input } from './support/rule-cases.js';

interface Rule {
  alert: string;
  labels: { severity: string };
  annotations: { summary: string; description: string };
}

const RUNBOOKS = fileURLToPath(new URL('../../docs/runbooks/', import.meta.url));
const GUIDES = fileURLToPath(new URL('../../docs/guides/', import.meta.url));
const { groups } = parse(await readFile(ALERT_RULES, 'utf8')) as { groups: { rules: Rule[] }[] };
const alerts = groups.flatMap(({ rules }) => rules);
const names = alerts.map(({ alert }) => alert);

describe('every alert', () => {
  it('says how grave it is, what has happened and what that means', () => {
    for (const { labels, annotations } of alerts) {
      expect(labels.severity).toMatch(/^(warning|critical)$/);
      expect(annotations.summary).toMatch(/^.{10,120}$/);
      expect(annotations.description).toMatch(/\.$/);
    }
  });

  it('has a runbook that says what it means, how to look and what to do, and there is no other', async () => {
    const pages = (await readdir(RUNBOOKS)).filter((page) => page !== 'README.md');
    expect(pages.toSorted()).toEqual(names.map((name) => `${name}.md`).toSorted());
    for (const name of names) {
      const text = await readFile(join(RUNBOOKS, `${name}.md`), 'utf8');
      expect(text).toMatch(new RegExp(`^# ${name}\n`));
      for (const part of ['## What it means', '## How to look', '## What to do']) expect(text).toContain(`\n${part}\n`);
      expect(text).toContain('```');
    }
  });

  it('stands in the guides, in both languages, with how grave it is', async () => {
    for (const language of ['en', 'zh']) {
      const guide = await readFile(join(GUIDES, `monitoring.${language}.md`), 'utf8');
      const rows = [...guide.matchAll(/^\| \[`(\w+)`\]\(\.\.\/runbooks\/(\w+)\.md\).*\| (\w+) +\|$/gm)];
      expect(rows.map(([, name, page, severity]) => ({ name, page, severity }))).toEqual(
        alerts.map(({ alert, labels }) => ({ name: alert, page: alert, severity: labels.severity })),
      );
    }
  });

  it('has a case in which it fires and one in which it is silent', () => {
    const tried = [...gpuCases(''), ...OTHER_CASES].map(({ alert }) => alert);
    expect(names.filter((name) => !tried.includes(name))).toEqual([]);
  });
});

interface UnitTest {
  name: string;
  interval: '1m';
  input_series: { series: string; values: string }[];
  promql_expr_test: { expr: string; eval_time: string; exp_samples: { labels: string; value: number }[] }[];
}

const unitTest = (name: string, input: Input, tests: UnitTest['promql_expr_test']): UnitTest => ({
  ...{ name, interval: '1m' },
  input_series: Object.entries(input).map(([series, values]) => ({ series, values })),
  promql_expr_test: tests,
});

/** The same alert with what makes it fire, and with what nearly does. */
const bothWays = (form: string, { alert, at, fires, silent }: AlertCase): UnitTest[] => {
  const expr = `count(ALERTS{alertname="${alert}",alertstate="firing"})`;
  const firing = [{ expr, eval_time: at, exp_samples: [{ labels: '{}', value: 1 }] }];
  return [
    unitTest(`${alert} fires${form}`, fires, firing),
    unitTest(`${alert} is silent${form}`, silent, [{ expr, eval_time: at, exp_samples: [] }]),
  ];
};

/** A run on GPU 0, whose labels have the form that is tried, and a GPU that nobody has. */
const recorded = (form: string, gpu: string): UnitTest => {
  const free = 'gpu="1",UUID="GPU-b",modelName="H100",Hostname="n1"';
  const input = {
    ...{ [RUN_INFO]: '1x10', [POD_INFO]: '1x10', 'luthier_run_memory_used_bytes{run_id="r1"}': '5x10' },
    // One that DCGM knows nothing of.
    [RUN_INFO.replace('r1', 'r2')]: '1x10',
    'luthier_run_memory_used_bytes{run_id="r2",pod="training-0"}': '7x10',
    'luthier_run_memory_used_bytes{run_id="r2",pod="training-1"}': '7x10',
    ...Object.fromEntries(
      [gpu, free].flatMap((labels) => [
        [`DCGM_FI_DEV_FB_USED{${labels}}`, '60000x10'],
        [`DCGM_FI_DEV_FB_FREE{${labels}}`, '20000x10'],
        [`DCGM_FI_DEV_GPU_UTIL{${labels}}`, '75x10'],
      ]),
    ),
  };
  const at = (expr: string, ...exp_samples: [string, number][]): UnitTest['promql_expr_test'][number] => ({
    ...{ expr, eval_time: '8m' },
    exp_samples: exp_samples.map(([labels, value]) => ({ labels, value })),
  });
  const run = '{run_id="r1",base_model="qwen",Hostname="n1",gpu="0"}';
  const by = 'by (run_id, base_model, Hostname, gpu)';
  return unitTest(`GPUs are joined to runs by ${form}`, input, [
    at(`sum ${by} (luthier:run_gpu_memory_used_ratio)`, [run, 0.75]),
    at(`sum ${by} (luthier:run_gpu_utilisation:ratio)`, [run, 0.75]),
    at(
      'sum by (gpu) (luthier:gpu_memory_total:bytes)',
      ['{gpu="0"}', 80_000 * 2 ** 20],
      ['{gpu="1"}', 80_000 * 2 ** 20],
    ),
    at(
      'sum by (run_id, source, base_model) (luthier:run_memory_used:bytes)',
      ['{run_id="r1",source="dcgm",base_model="qwen"}', 60_000 * 2 ** 20],
      ['{run_id="r2",source="runtime",base_model="qwen"}', 7],
    ),
  ]);
};

const withPromtool = (await canRunPrometheus()) ? describe : describe.skip;

withPromtool('promtool', () => {
  it('finds no fault in the rules', async () => {
    expect(await promtool('check', 'rules', RECORDING_RULES, ALERT_RULES)).not.toContain('FAILED');
  });

  it('sees GPUs joined to their runs by both forms of labels, and every alert fire when it should and be silent when not', async () => {
    const tests = [
      ...Object.entries(LABEL_FORMS).flatMap(([form, gpu]) => [
        recorded(form, gpu),
        ...gpuCases(gpu).flatMap((each) => bothWays(` by ${form}`, each)),
      ]),
      ...OTHER_CASES.flatMap((each) => bothWays('', each)),
    ];
    const file = join(await tempDir('rules'), 'tests.yaml');
    await writeFile(
      file,
      stringify({ rule_files: [RECORDING_RULES, ALERT_RULES], evaluation_interval: '1m', fuzzy_compare: true, tests }),
    );
    expect(await promtool('test', 'rules', file)).toContain('SUCCESS');
  });
});

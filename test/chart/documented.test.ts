import { describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';
import { canRunHelm } from '@luthier/testing/kube';
import { chartReadme } from '../../scripts/chart-readme.mjs';
import { CHART, presets, render } from './support/helm.js';

const page = (name: string): Promise<string> =>
  readFile(new URL(`../../docs/reference/${name}.md`, import.meta.url), 'utf8');

const withHelm = (await canRunHelm()) ? describe : describe.skip;

describe("the chart's README", () => {
  it('has a row for every value, with what it means', async () => {
    const made = chartReadme(await readFile(`${CHART}values.yaml`, 'utf8'));
    const options = await resolveConfig(`${CHART}README.md`);
    expect(await readFile(`${CHART}README.md`, 'utf8')).toBe(await format(made, { ...options, parser: 'markdown' }));
  });

  it('cannot be made of a value that nothing describes', () => {
    expect(() => chartReadme('a:\n  # -- What it is.\n  b: 1\n  c: 2\n')).toThrow(/a\.c has no description/);
  });
});

withHelm('variables of services', () => {
  it('are all set by the chart, or there is a reason why not', async () => {
    const rows = /^\| `(LUTHIER_[A-Z_]+[A-Z])`/gm;
    const all = [...(await page('configuration')).matchAll(rows)].map(([, name = '']) => name);
    const rendered = (await Promise.all((await presets()).map((preset) => render(preset)))).flat();
    const set = new Set(
      [...JSON.stringify(rendered).matchAll(/"name":"(LUTHIER_[A-Z_]+)"/g)].map(([, name = '']) => name),
    );
    const [, unset = ''] = (await page('chart')).split('## Variables that the chart does not set');
    const cells = [...unset.matchAll(/^\| (`.*?) +\|/gm)].map(([, cell = '']) => cell);
    const reasons = [...cells.join().matchAll(/`(LUTHIER_[A-Z_]+)`/g)].map(([, name = '']) => name);
    expect([...set, ...reasons].filter((name) => all.includes(name)).toSorted()).toEqual(all.toSorted());
    expect([...set].filter((name) => !all.includes(name))).toEqual([]);
  });
});

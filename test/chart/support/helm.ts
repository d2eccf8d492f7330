import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { ensureHelm } from '@luthier/testing/kube';
import type { KubeObject } from '@luthier/testing/kube';

const run = promisify(execFile);
export const CHART = fileURLToPath(new URL('../../../charts/luthier/', import.meta.url));
/** Of the release that tests render; as short as a name may be, and one that YAML takes for a truth value. */
export const RELEASE = 'n';

/** What a run of Helm printed. @throws Error with what it said when it did not end well. */
export async function helm(...args: readonly string[]): Promise<string> {
  const { dir, missing } = await ensureHelm({ log: (message) => console.log(message) });
  if (dir === undefined) throw new Error(`helm: ${missing}`);
  const { stdout, stderr } = await run(join(dir, 'helm'), args, { timeout: 600_000, maxBuffer: 32 * 1024 * 1024 });
  return stdout + stderr;
}

/** The names of the presets in `ci/`. */
export async function presets(): Promise<string[]> {
  const files = await readdir(join(CHART, 'ci'));
  return files.map((file) => file.replace('-values.yaml', '')).toSorted();
}

export const valuesOf = (preset: string): string => join(CHART, 'ci', `${preset}-values.yaml`);

/** The objects that a preset makes of the chart in the namespace `luthier`. */
export async function render(preset: string, ...more: readonly string[]): Promise<KubeObject[]> {
  const text = await helm('template', RELEASE, CHART, '--namespace', 'luthier', '--values', valuesOf(preset), ...more);
  const made = parseAllDocuments(text).map((document) => document.toJS() as KubeObject | null);
  return made.filter((object) => object !== null);
}

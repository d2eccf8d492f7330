import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ensurePrometheus } from '@luthier/testing/kube';

const run = promisify(execFile);
const fileOfChart = (name: string): string =>
  fileURLToPath(new URL(`../../../charts/luthier/files/monitoring/${name}`, import.meta.url));
export const RECORDING_RULES = fileOfChart('recording-rules.yaml');
export const ALERT_RULES = fileOfChart('alert-rules.yaml');

/** The folder of prometheus and promtool. */
export async function programs(): Promise<string> {
  const { dir, missing } = await ensurePrometheus({ log: (message) => console.log(message) });
  if (dir === undefined) throw new Error(`prometheus: ${missing}`);
  return dir;
}

/** What promtool printed. @throws Error with what it said when it found a fault. */
export async function promtool(...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run(join(await programs(), 'promtool'), args, { timeout: 120_000 });
  return stdout + stderr;
}

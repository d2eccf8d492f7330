// Runs one bench and, when asked, leaves its record as JSON.
// Usage: npm run bench -- NAME [--json FILE]; NAME.bench.ts lies in test/bench.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureKubeBinaries } from './kube-binaries.mjs';

const calledFrom = process.env.INIT_CWD ?? process.cwd();
process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const SUFFIX = '.bench.ts';
const names = readdirSync('test/bench')
  .filter((file) => file.endsWith(SUFFIX))
  .map((file) => file.slice(0, -SUFFIX.length));
const [name, option, file] = process.argv.slice(2);
if (!names.includes(name) || (option !== undefined && (option !== '--json' || file === undefined))) {
  console.error(`usage: npm run bench -- NAME [--json FILE]; there are: ${names.join(' ')}`);
  process.exit(2);
}

const built = spawnSync('turbo', ['run', 'build', '--output-logs=errors-only'], { stdio: 'inherit' });
if (built.status !== 0) process.exit(1);
if (name.startsWith('trainer')) {
  const { dir, missing } = await ensureKubeBinaries('kube');
  if (!dir) {
    console.error(`the bench needs ${missing}`);
    process.exit(1);
  }
}
const options = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
const jest = ['node_modules/jest/bin/jest.js', '--testRegex', `test/bench/${name}\\.bench\\.ts$`, '--runInBand'];
const ended = spawnSync(process.execPath, [...options, ...jest], {
  stdio: 'inherit',
  env: { ...process.env, ...(file !== undefined && { LUTHIER_BENCH_JSON: resolve(calledFrom, file) }) },
});
process.exit(ended.status ?? 1);

// Pictures of every screen of the dashboard, with invented records, in both languages and several widths.
// Usage: node scripts/screens.mjs FOLDER [PATTERN]; needs Chromium and a built dashboard.
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const [folder, pattern = '.'] = process.argv.slice(2);
if (folder === undefined) {
  console.error('usage: node scripts/screens.mjs FOLDER [PATTERN], e.g. shots "model.*zh"');
  process.exit(2);
}
const env = { ...process.env, LUTHIER_SCREENS: resolve(folder), LUTHIER_SCREENS_ONLY: pattern };
const options = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
const jest = ['node_modules/jest/bin/jest.js', '--testRegex', 'test/browser/screens\\.bench\\.ts$', '--runInBand'];
const cwd = fileURLToPath(new URL('..', import.meta.url));
process.exit(spawnSync(process.execPath, [...options, ...jest], { stdio: 'inherit', env, cwd }).status ?? 1);

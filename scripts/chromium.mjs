// Finds Chromium for the browser tests; on Debian as root it is installed with apt when it is missing.
import { spawnSync } from 'node:child_process';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

function onPath() {
  for (const name of NAMES) {
    const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
    if (found.status === 0) return found.stdout.trim();
  }
  return undefined;
}

function installWithApt() {
  const root = typeof process.getuid === 'function' && process.getuid() === 0;
  if (!root || spawnSync('sh', ['-c', 'command -v apt-get']).status !== 0) return;
  console.log('luthier: installing Chromium with apt (about a minute, 360 MB) for the browser tests');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const quiet = { stdio: ['ignore', 'ignore', 'inherit'], env, timeout: 600_000 };
  spawnSync('apt-get', ['update', '-qq'], quiet);
  spawnSync(
    'apt-get',
    ['install', '-y', '-qq', '--no-install-recommends', 'chromium', 'fonts-dejavu-core', 'fonts-wqy-zenhei'],
    quiet,
  );
}

/** @returns {string | undefined} path of the browser; undefined when there is none and none could be installed. */
export function ensureChromium() {
  const present = process.env.LUTHIER_CHROMIUM || onPath();
  if (present) return present;
  installWithApt();
  const found = onPath();
  if (!found)
    console.warn(
      'SKIPPED: browser tests need Chromium, and none could be installed (set LUTHIER_CHROMIUM to its path)',
    );
  return found;
}

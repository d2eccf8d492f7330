// Entry of every npm script: plain JavaScript for any Node >= 20. Installs what the manifests ask for (pnpm, Node 24 and
// all packages come from the npm registry as it is configured), then runs the wanted script on the pinned Node.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const bin = join(root, 'node_modules', '.bin');
const stamp = join(root, 'node_modules', '.boot');
const { packageManager } = JSON.parse(readFileSync('package.json', 'utf8'));

const env = {
  ...process.env,
  PATH: bin + delimiter + process.env.PATH,
  TURBO_TELEMETRY_DISABLED: '1',
  DO_NOT_TRACK: '1',
};
for (const key of Object.keys(env)) if (/^npm_config_/i.test(key)) delete env[key];

function run(command, args) {
  const result = spawnSync(command, args, { stdio: 'inherit', env, shell: process.platform === 'win32' });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

function manifests() {
  const packages = ['libs', 'services'].flatMap((folder) =>
    readdirSync(folder).map((name) => join(folder, name, 'package.json')),
  );
  return [
    'package.json',
    'pnpm-lock.yaml',
    'pnpm-workspace.yaml',
    'web/package.json',
    'test/package.json',
    ...packages,
  ];
}

function fingerprint() {
  const hash = createHash('sha256');
  for (const file of manifests()) hash.update(file).update(existsSync(file) ? readFileSync(file) : '');
  return hash.digest('hex');
}

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== fingerprint()) {
  console.log(`luthier: installing packages with ${packageManager} (first time: about a minute)`);
  const locked = existsSync('pnpm-lock.yaml') ? ['--frozen-lockfile'] : [];
  run('npx', ['-y', packageManager, 'install', '--reporter=append-only', '--loglevel=warn', ...locked]);
  writeFileSync(stamp, fingerprint()); // after the install: the first one writes the lockfile
}
const [script, ...args] = process.argv.slice(2);
run('npm', ['run', '--silent', script, ...(args.length > 0 ? ['--', ...args] : [])]);

// Builds Luthier's images by this machine's container engine, and prints the values with which the chart takes them:
//   node scripts/images.mjs --registry registry.example.org --push > images.yaml
//   helm install luthier charts/luthier --values values.yaml --values images.yaml …
// Only what is pushed has a digest. --only web,runtime-node makes these alone, --version another tag than the repository's,
// --engine podman takes another program than docker. docs/reference/images.md
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const SERVICES = ['gateway', 'datasets', 'training', 'trainer', 'evaluation', 'registry', 'inference', 'cli'];
/** What the engine is told besides the tag. */
const IMAGES = {
  ...Object.fromEntries(SERVICES.map((name) => [name, ['Dockerfile.service', '--build-arg', `SERVICE=${name}`]])),
  web: ['Dockerfile.web'],
  'runtime-node': ['Dockerfile.runtime-node'],
  'runtime-torch': ['Dockerfile.runtime-torch'],
  'trainer-torch': ['Dockerfile.runtime-torch', '--target', 'trainer'],
};

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const { values: options } = parseArgs({
  options: {
    registry: { type: 'string', default: '' },
    version: { type: 'string', default: JSON.parse(readFileSync('package.json', 'utf8')).version },
    only: { type: 'string', default: Object.keys(IMAGES).join(',') },
    engine: { type: 'string', default: 'docker' },
    push: { type: 'boolean', default: false },
  },
});
const chosen = options.only.split(',');
const unknown = chosen.filter((name) => !(name in IMAGES));
if (unknown.length > 0) fail(`there is no image ${unknown.join(', ')}; there are ${Object.keys(IMAGES).join(', ')}`);
if (options.push && options.registry === '') fail('--push needs --registry: where to');

const repositoryOf = (name) => `${options.registry === '' ? '' : `${options.registry}/`}luthier/${name}`;
const runtimes = [];
for (const name of chosen) {
  const [dockerfile, ...more] = IMAGES[name];
  const tag = `${repositoryOf(name)}:${options.version}`;
  const version = ['--build-arg', `VERSION=${options.version}`];
  engine('build', '--file', `deploy/${dockerfile}`, ...more, ...version, '--tag', tag, '.');
  if (!options.push) continue;
  engine('push', tag);
  if (name.startsWith('runtime-')) runtimes.push({ name, digest: digestOf(name, tag) });
}
console.log(`image: { registry: '${options.registry}', tag: '${options.version}' }`);
if (runtimes.length > 0) {
  console.log('runs:\n  runtimes:');
  for (const { name, digest } of runtimes)
    console.log(`    ${name}: { registry: '${options.registry}', digest: '${digest}' }`);
}

/** What it says goes to the standard error, so that the values alone are on the standard output. */
function engine(...args) {
  const { status, error } = spawnSync(options.engine, args, { stdio: ['ignore', 2, 2] });
  if (status !== 0) fail(`${options.engine} ${args.join(' ')}: ${error?.message ?? `ended with ${status}`}`);
}

/** An image has one for each repository that it was pushed to. */
function digestOf(name, tag) {
  const args = ['image', 'inspect', '--format', '{{json .RepoDigests}}', tag];
  const { stdout } = spawnSync(options.engine, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 2] });
  const own = JSON.parse(stdout || '[]').find((reference) => reference.startsWith(`${repositoryOf(name)}@`));
  return own?.split('@')[1] ?? fail(`${tag} has no digest after its push`);
}

function fail(message) {
  console.error(`images: ${message}`);
  process.exit(1);
}

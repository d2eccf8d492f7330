// Runs the test tiers one after the other and ends with one plain line of counts.
// Usage: npm test -- [TIER...]; without a tier all of those that have tests.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { ensureChromium } from './chromium.mjs';
import { ALL_BINARIES, ensureKubeBinaries } from './kube-binaries.mjs';
import { ensureTorch } from './torch-env.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const IN_PACKAGES = '(libs|services|web)/[^/]+/src/.*';
const TIERS = {
  architecture: { pattern: 'test/architecture/.*\\.test\\.ts$' },
  unit: { pattern: `${IN_PACKAGES}(?<!\\.int|\\.kube)\\.test\\.ts$` },
  int: { pattern: `${IN_PACKAGES}\\.int\\.test\\.ts$`, built: true },
  conformance: { pattern: 'test/runtime-conformance/.*\\.test\\.ts$', built: true },
  e2e: { pattern: 'test/e2e/.*\\.test\\.ts$', built: true, workers: 1 },
  browser: { pattern: 'test/browser/.*\\.test\\.ts$', built: true, workers: 1, chromium: true },
  kube: { pattern: `(test/kube/.*|${IN_PACKAGES}\\.kube)\\.test\\.ts$`, built: true, workers: 3, kube: true },
  chart: { pattern: 'test/chart/.*\\.test\\.ts$', built: true, workers: 2, kube: true },
  torch: { pattern: 'test/torch/.*\\.test\\.ts$', built: true, workers: 1, torch: true, kube: true },
};

const asked = process.argv.slice(2);
const unknown = asked.filter((tier) => !Object.hasOwn(TIERS, tier));
if (unknown.length > 0) {
  console.error(`unknown tier: ${unknown.join(', ')}; there are ${Object.keys(TIERS).join(' ')}`);
  console.log('0 passed, 1 failed');
  process.exit(1);
}

const scratch = mkdtempSync(join(tmpdir(), 'luthier-test-'));
const env = {
  ...process.env,
  NODE_OPTIONS:
    `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --disable-warning=ExperimentalWarning`.trim(),
};
const node = (args, options = {}) => spawnSync(process.execPath, args, { stdio: 'inherit', env, ...options });
const jest = (args, options) => node(['node_modules/jest/bin/jest.js', ...args], options);

function testFiles(tier) {
  const listed = jest(['--listTests', '--testPathPatterns', TIERS[tier].pattern], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return String(listed.stdout)
    .split('\n')
    .filter((line) => line.startsWith('/') || /^[A-Z]:\\/.test(line));
}

function build() {
  console.log('\n== build');
  const started = Date.now();
  const built = spawnSync('turbo', ['run', 'build', '--output-logs=errors-only'], {
    stdio: 'inherit',
    env: process.env,
  });
  if (built.status !== 0) {
    console.error(`the build failed, so no test was run${built.error ? `: ${built.error.message}` : ''}`);
    console.log('0 passed, 1 failed');
    process.exit(1);
  }
  return (Date.now() - started) / 1000;
}

/** Built before the tests, so that it is seen and not counted as theirs. Without Go they say what they lack. */
async function ensureKubernetes() {
  const started = Date.now();
  const all = process.env.LUTHIER_TEST_REQUIRE === 'all';
  for (const which of all ? ALL_BINARIES : ['kube']) {
    const { dir, missing } = await ensureKubeBinaries(which).catch((cause) => ({ missing: String(cause) }));
    console.log(dir ? `${which}: programs in ${dir}` : `${which}: missing ${missing}`);
  }
  console.log(`programs for Kubernetes: ${((Date.now() - started) / 1000).toFixed(0)} s`);
}

const SHOWN_LINES = 12;

/** What failed, once more and short: it stands at the end, where a long log is read first. */
function failuresOf({ testResults }) {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed');
    const told = failed.map(({ fullName, failureMessages }) => ({ title: fullName, text: failureMessages.join('\n') }));
    // A file that cannot be loaded, or tidied up after, has no test that failed, yet it did.
    if (status === 'failed' && failed.length === 0) told.push({ title: 'could not be run as a whole', text: message });
    return told.map(({ title, text }) => ({
      title: `${relative(process.cwd(), name)} > ${title}`,
      text: stripVTControlCharacters(text).trim().split('\n').slice(0, SHOWN_LINES).join('\n'),
    }));
  });
}

async function runTier(tier, files) {
  console.log(`\n== ${tier}: ${files.length} files`);
  if (TIERS[tier].chromium) env.LUTHIER_CHROMIUM = ensureChromium() ?? '';
  if (TIERS[tier].kube) await ensureKubernetes();
  if (TIERS[tier].torch) {
    const { python, missing } = await ensureTorch();
    console.log(python ? `torch: ${python}` : `torch: missing ${missing}`);
  }
  const report = join(scratch, `${tier}.json`);
  const started = Date.now();
  const workers = String(TIERS[tier].workers ?? 2);
  const result = jest(['--json', `--outputFile=${report}`, '--maxWorkers', workers, '--runTestsByPath', ...files]);
  const seconds = (Date.now() - started) / 1000;
  try {
    const counts = JSON.parse(readFileSync(report, 'utf8'));
    const failures = failuresOf(counts);
    return {
      tier,
      seconds,
      failures,
      passed: counts.numPassedTests,
      failed: failures.length,
      skipped: counts.numPendingTests,
    };
  } catch {
    return {
      tier,
      seconds,
      passed: 0,
      failed: 1,
      skipped: 0,
      note: `jest ended with ${result.status ?? result.signal}`,
    };
  }
}

const planned = (asked.length > 0 ? asked : Object.keys(TIERS))
  .map((tier) => ({ tier, files: testFiles(tier) }))
  .filter(({ files }) => asked.length > 0 || files.length > 0);
const buildSeconds = planned.some(({ tier }) => TIERS[tier].built) ? build() : 0;
const results = [];
for (const { tier, files } of planned) {
  results.push(
    files.length > 0
      ? await runTier(tier, files)
      : { tier, seconds: 0, passed: 0, failed: 1, skipped: 0, note: 'no test found' },
  );
}
rmSync(scratch, { recursive: true, force: true });

const sum = (key) => results.reduce((total, result) => total + result[key], 0);
for (const { title, text } of results.flatMap(({ failures = [] }) => failures)) {
  console.log(`\nfailed: ${title}\n${text.replaceAll(/^/gm, '  ')}`);
}
console.log(`\nbuild ${buildSeconds.toFixed(0)} s`);
for (const { tier, seconds, passed, failed, skipped, note } of results) {
  console.log(
    `${tier.padEnd(13)}${seconds.toFixed(0).padStart(5)} s  ${passed} passed, ${failed} failed, ${skipped} skipped${note ? `  (${note})` : ''}`,
  );
}
const executed = sum('passed') + sum('failed') > 0;
const failed = sum('failed') + (executed ? 0 : 1);
console.log(`${sum('passed')} passed, ${failed} failed${sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : ''}`);
process.exit(failed > 0 ? 1 : 0);

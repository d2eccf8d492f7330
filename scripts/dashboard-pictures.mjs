// The pictures of docs/guides/monitoring: draws the chart's dashboards from what a real Prometheus answers to their queries.
// They are drawn by this script and not by Grafana; places, titles, queries and units are those of the dashboards.
// Usage: node scripts/dashboard-pictures.mjs; needs Chromium, Go and a build. It runs test/chart/dashboards.test.ts, which
// starts the platform, and keeps the answers.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureChromium } from './chromium.mjs';
import { pageOf } from './dashboards/drawn-page.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const scratch = mkdtempSync(join(tmpdir(), 'luthier-pictures-'));
try {
  const file = join(scratch, 'results.json');
  const test = ['node_modules/jest/bin/jest.js', '--runInBand', '--runTestsByPath', 'test/chart/dashboards.test.ts'];
  const { status } = spawnSync(process.execPath, ['--experimental-vm-modules', ...test], {
    stdio: 'inherit',
    env: { ...process.env, LUTHIER_DASHBOARD_RESULTS: file },
  });
  if (status !== 0) process.exit(1);
  await draw(JSON.parse(readFileSync(file, 'utf8')));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function draw(answers) {
  const { chromium } = createRequire(new URL('../test/package.json', import.meta.url))('playwright-core');
  const browser = await chromium.launch({ executablePath: ensureChromium(), args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage({ viewport: { width: 1372, height: 900 } });
    for (const name of ['fleet', 'run', 'platform']) {
      const dashboard = JSON.parse(readFileSync(`charts/luthier/dashboards/${name}.json`, 'utf8'));
      await page.setContent(pageOf(dashboard, answers));
      await page.screenshot({ path: `docs/images/${name}.png`, fullPage: true });
    }
  } finally {
    await browser.close();
  }
}

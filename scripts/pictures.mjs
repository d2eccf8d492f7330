// The pictures of README, in both languages: the demo's job on the platform that `npm run demo` keeps up.
// Usage: node scripts/pictures.mjs URL API_KEY_FILE; needs Chromium.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { ensureChromium } from './chromium.mjs';

const [baseURL, keyFile] = process.argv.slice(2);
if (keyFile === undefined) {
  console.error('usage: node scripts/pictures.mjs URL API_KEY_FILE');
  process.exit(2);
}
const { chromium } = createRequire(new URL('../test/package.json', import.meta.url))('playwright-core');
const browser = await chromium.launch({ executablePath: ensureChromium(), args: ['--no-sandbox'] });
try {
  for (const [locale, name] of [
    ['en-US', 'dashboard.png'],
    ['zh-CN', 'dashboard.zh.png'],
  ]) {
    const context = await browser.newContext({ baseURL, locale, viewport: { width: 1200, height: 1000 } });
    await context.request.post('/api/v1/session', { data: { key: readFileSync(keyFile, 'utf8').trim() } });
    const { items } = await (await context.request.get('/api/v1/jobs')).json();
    const job = items.find(({ suffix, evaluation_id: proof }) => suffix === 'support' && proof !== null);
    if (!job) throw new Error('the job of the demo has not succeeded');
    const page = await context.newPage();
    await page.goto(`/jobs/${job.id}`);
    await page.locator('table').first().waitFor();
    await page.locator('[data-points] canvas').first().waitFor();
    await page.screenshot({ path: fileURLToPath(new URL(`../docs/images/${name}`, import.meta.url)) });
  }
} finally {
  await browser.close();
}

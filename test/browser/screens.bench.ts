import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import {
  BASE_ID,
  BROKEN_FILE,
  DONE_JOB,
  FAILED_JOB,
  JUDGE_ID,
  MEMORY_JOB,
  PAIRS_FILE,
  PAIRS_JOB,
  PROMPTS_FILE,
  QUEUED_JOB,
  REHEARSED_JOB,
  REHEARSING_JOB,
  REWARDED_JOB,
  TRAIN_FILE,
  TUNED_ID,
} from '../../web/dev/fixtures/ids.js';
import type { FakeApi } from '../../web/dev/fake-api.js';
import { describeDashboard } from './dashboard.js';

const OUT = process.env['LUTHIER_SCREENS'] || 'screens';
const WAYS = [
  { name: 'en-wide', locale: 'en-US', width: 1440, dark: false },
  { name: 'zh-wide', locale: 'zh-CN', width: 1440, dark: false },
  { name: 'zh-phone', locale: 'zh-CN', width: 390, dark: false },
  { name: 'en-phone-dark', locale: 'en-US', width: 390, dark: true },
] as const;

type Act = (page: Page, api: FakeApi) => Promise<unknown>;

const MODEL = /^(Model to start from|起始模型)/;
const FILE = /^(Training file|训练文件)/;
/** A new job from this file, with all that unfolds open. */
const newJob =
  (file: string): Act =>
  async (page) => {
    await page.getByLabel(MODEL).selectOption('smollm2-135m-instruct');
    await page.getByLabel(FILE).first().selectOption(file);
    await page.getByText(/^(Fits|资源足够)$/).waitFor();
    for (const fold of [
      /^(More settings|更多设置)$/,
      /^(Where it runs|运行在哪里)$/,
      /^(What this is based on|计算依据)$/,
    ]) {
      const button = page.getByRole('button', { name: fold });
      if ((await button.count()) > 0) await button.first().click();
    }
  };
const press =
  (...names: RegExp[]): Act =>
  async (page) => {
    for (const name of names) await page.getByRole('button', { name }).first().click();
  };

const SCREENS: readonly [name: string, path: string, act?: Act | undefined, empty?: boolean][] = [
  ['sign-in', '/sign-in'],
  ['jobs', '/jobs'],
  ['jobs-empty', '/jobs', undefined, true],
  ['job-done', `/jobs/${DONE_JOB}`],
  ['job-failed', `/jobs/${FAILED_JOB}`],
  ['job-memory', `/jobs/${MEMORY_JOB}`],
  ['job-queued', `/jobs/${QUEUED_JOB}`, press(/^(How this was worked out|计算依据)$/)],
  ['job-rehearsing', `/jobs/${REHEARSING_JOB}`],
  ['job-rehearsed', `/jobs/${REHEARSED_JOB}`],
  ['job-pairs', `/jobs/${PAIRS_JOB}`],
  ['job-rewarded', `/jobs/${REWARDED_JOB}`],
  ['job-live', '/jobs/ftjob-live0000000000000000'],
  ['job-cluster', '/jobs/ftjob-cluster0000000000000'],
  ['new', '/jobs/new'],
  ['new-supervised', '/jobs/new', newJob(TRAIN_FILE)],
  ['new-pairs', '/jobs/new', newJob(PAIRS_FILE)],
  ['new-prompts', '/jobs/new', newJob(PROMPTS_FILE)],
  [
    'new-broken',
    '/jobs/new',
    async (page) => {
      await page.getByLabel(MODEL).selectOption('smollm2-135m-instruct');
      await page.getByLabel(FILE).first().selectOption(BROKEN_FILE);
      await page.getByText(/No row of the training file|训练文件中没有可用的行/).waitFor();
    },
  ],
  ['files', '/files'],
  ['files-empty', '/files', undefined, true],
  ['file-broken', `/files/${BROKEN_FILE}`],
  ['file-train', `/files/${TRAIN_FILE}`],
  ['dataset', '/datasets/ds-train000000000000000'],
  ['models', '/models'],
  ['models-empty', '/models', undefined, true],
  [
    'model-tuned',
    `/models/${TUNED_ID}`,
    press(/^(Export as Adapter|导出为 仅适配器)/, /^(Export as GGUF|导出为 GGUF)/),
  ],
  [
    'model-export-failed',
    `/models/${TUNED_ID}`,
    async (page, api) => {
      api.failExport();
      await page.getByRole('button', { name: /^(Export as Whole model|导出为 完整模型)/ }).click();
      await page.getByRole('button', { name: /^(Try again|重试)$/ }).waitFor();
    },
  ],
  ['model-base', `/models/${BASE_ID}`],
  ['model-judge', `/models/${JUDGE_ID}`],
  ['playground', `/playground?model=${TUNED_ID}`],
  [
    'playground-asked',
    `/playground?model=${TUNED_ID}`,
    async (page) => {
      await page.getByLabel(/^(Question|问题)$/).fill('How long may I send a lamp back?');
      await page.getByRole('button', { name: /^(Ask both|同时提问)$/ }).click();
      await page.locator('[data-answer=tuned]').getByText('Within 45 days').waitFor();
    },
  ],
  ['cluster', '/cluster', press(/^(Check now|开始检查)$/)],
  ['no-page', '/nothing'],
];

describeDashboard('pictures of all screens', (dashboard) => {
  beforeAll(() => mkdir(OUT, { recursive: true }));

  const wanted = new RegExp(process.env['LUTHIER_SCREENS_ONLY'] || '.');
  const all = WAYS.flatMap((way) => SCREENS.map((screen) => ({ way, screen, name: `${screen[0]}.${way.name}` })));
  it.each(all.filter(({ name }) => wanted.test(name)))('$name', async ({ way, screen, name }) => {
    const [, path, act, empty = false] = screen;
    const { page } = await dashboard.open({ path, empty, ...way });
    await page.locator('h1').first().waitFor();
    await page.locator('[role=status].animate-pulse').first().waitFor({ state: 'detached' });
    await act?.(page, dashboard.api);
    await page.waitForLoadState('networkidle', { timeout: 1_500 }).catch(() => undefined); // a live stream never is
    await page.screenshot({ path: join(OUT, `${name}.png`), fullPage: true });
  });
});

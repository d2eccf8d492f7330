import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect, it } from '@jest/globals';
import { BASE_ID, JUDGE_ID, TUNED_ID } from '../../web/dev/fixtures/ids.js';
import { describeDashboard } from './dashboard.js';

describeDashboard('export of a model', (dashboard) => {
  it('goes by keyboard from the button to a downloaded file that has the size and hash it is shown with', async () => {
    const { page, faults } = await dashboard.open({ path: `/models/${TUNED_ID}` });
    // It is ready at the second question, which waits until what comes before it was looked at.
    const seen = Promise.withResolvers<void>();
    let questions = 0;
    await page.route('**/exports/gguf', async (route) => {
      questions += 1;
      if (questions > 1) await seen.promise;
      await route.continue();
    });
    const button = page.getByRole('button', { name: 'Export as GGUF, 16 bits (BF16)' });
    await button.focus();
    await page.keyboard.press('Enter');
    const status = page.getByRole('region', { name: 'Export' }).getByRole('status');
    await status.getByText('Being made').waitFor();
    expect(await button.isDisabled()).toBe(true);
    seen.resolve();
    await status.getByText('GGUF, 16 bits (BF16) is ready').waitFor();
    await page.keyboard.press('Tab');
    expect(await page.locator(':focus').getAttribute('aria-label')).toBe('Download model.gguf');
    const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')]);
    expect(download.suggestedFilename()).toBe('model.gguf');
    const bytes = await readFile(await download.path());
    const shown = await page.getByRole('list', { name: 'Files of GGUF, 16 bits (BF16)' }).innerText();
    expect(shown).toContain(createHash('sha256').update(bytes).digest('hex'));
    expect(shown).toContain(`${(bytes.length / 1024).toFixed(0)} KiB`);
    expect(faults).toEqual([]);
  });

  it.each([
    ['en-US', 'Export as Whole model (safetensors)', 'The disk is full: 270 MB are missing.', 'Try again', 'is ready'],
    ['zh-CN', '导出为 完整模型（safetensors）', '磁盘已满', '重试', '已就绪'],
  ])('that failed says why in %s, and is tried again on request alone', async (locale, start, why, again, ready) => {
    const { page } = await dashboard.open({
      path: `/models/${locale === 'en-US' ? TUNED_ID : BASE_ID}`,
      locale,
    });
    dashboard.api.failExport();
    await page.getByRole('button', { name: start }).click();
    const failure = page.getByRole('alert').filter({ hasText: why });
    await failure.waitFor();
    await failure.getByRole('button', { name: again }).click();
    await page.getByRole('status').getByText(ready).waitFor();
    expect(await failure.count()).toBe(0);
  });

  it('is offered of a reward model as its adapter alone, with the reason beside the rest', async () => {
    const { page } = await dashboard.open({ path: `/models/${JUDGE_ID}` });
    const card = page.getByRole('region', { name: 'Export' });
    await card.getByText('Not possible: a reward model only gives points').first().waitFor();
    expect(await card.getByRole('button').allInnerTexts()).toEqual(['Export']);
    await card.getByRole('button', { name: 'Export as Adapter alone' }).click();
    await card.getByRole('link', { name: 'Download adapter_model.safetensors' }).waitFor();
    await card.getByRole('link', { name: 'Download adapter_config.json' }).waitFor();
  });
});

import { expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import { PAIRS_FILE, PROMPTS_FILE, REWARDED_JOB, TUNED_ID } from '../../web/dev/fixtures/ids.js';
import { describeDashboard } from './dashboard.js';

/** Of a rule, as it is asked for of the field `answer`. */
const rule = (name: string, how: object): object => ({
  ...{ name, input: '{{sample.output_text}}', reference: '{{item.answer}}' },
  ...how,
});
const RULES = {
  equals: rule('equals', { type: 'string_check', operation: 'eq' }),
  contains: rule('contains', { type: 'string_check', operation: 'ilike' }),
  wording: rule('wording', { type: 'text_similarity', evaluation_metric: 'rouge_l' }),
  spelling: rule('spelling', { type: 'text_similarity', evaluation_metric: 'fuzzy_match' }),
};

describeDashboard('methods that judge answers', (dashboard) => {
  const newJob = async (file: string, locale = 'en-US'): Promise<Page> => {
    const { page } = await dashboard.open({ path: '/jobs/new', locale });
    await page.getByLabel(/^(Model to start from|起始模型)/).selectOption('smollm2-135m-instruct');
    await page
      .getByLabel(/^(Training file|训练文件)/)
      .first()
      .selectOption(file);
    await page.getByText(/^(Fits|资源足够)$/).waitFor();
    return page;
  };
  const submitted = async (page: Page): Promise<unknown> => {
    await page.getByText('Fits', { exact: true }).waitFor();
    const request = page.waitForRequest((one) => one.url().endsWith('/v1/fine_tuning/jobs'));
    await page.getByRole('button', { name: 'Start training' }).click();
    const body: unknown = (await request).postDataJSON();
    await page.waitForURL(/\/jobs\/ftjob-new/);
    return body;
  };

  it.each([
    ['is exactly the text', RULES.equals],
    ['is worded like the text', RULES.wording],
  ])('are asked for in words: a good answer %s', async (words, grader) => {
    const page = await newJob(PROMPTS_FILE);
    expect(await page.getByRole('radio', { name: /^GRPO/ }).isChecked()).toBe(true);
    await page.getByLabel('A good answer').selectOption(words);
    await page.getByLabel('Held against the field').selectOption('answer');
    expect(await submitted(page)).toMatchObject({
      training_file: PROMPTS_FILE,
      method: { type: 'grpo', grpo: { grader } },
    });
  });

  it('go on from a tuned model in the form that its adapter has', async () => {
    const { page, faults } = await dashboard.open({ path: `/models/${TUNED_ID}` });
    await page.getByRole('link', { name: 'Tune further' }).click();
    await page.getByLabel('Training file', { exact: true }).selectOption(PAIRS_FILE);
    await page.getByRole('radio', { name: /^DPO/ }).check();
    await page.getByRole('button', { name: 'More settings' }).click();
    await page.getByText('The adapter of the tuned model goes on as it is').waitFor();
    expect(await page.getByRole('group', { name: 'What is trained' }).count()).toBe(0);
    expect(await page.getByLabel('LoRA rank').count()).toBe(0);
    const body = await submitted(page);
    expect(body).toMatchObject({ model: expect.stringMatching(/^ft:/), method: { type: 'dpo' } });
    expect(body).not.toHaveProperty('tuning');
    expect(faults).toEqual([]);
  });

  it('take a formula over the rules, and show what cannot be read of it at its field before anything starts', async () => {
    const page = await newJob(PROMPTS_FILE);
    await page.getByLabel('A good answer').selectOption('combines these rules by a formula');
    const formula = page.getByLabel('Formula', { exact: true });
    await formula.fill('equals + worth');
    const said = '"worth" at character 10 is not the name of a grader; there are equals, contains, wording, spelling';
    await page.getByText(said).waitFor();
    expect(await page.locator('main').getByRole('alert').count()).toBe(0);
    expect(await formula.getAttribute('aria-invalid')).toBe('true');
    expect(await page.locator(`id=${(await formula.getAttribute('aria-describedby')) ?? ''}`).innerText()).toContain(
      said,
    );
    expect(await page.getByRole('button', { name: 'Start training' }).isDisabled()).toBe(true);
    await formula.fill('0.7 * equals + 0.3 * wording');
    expect(await submitted(page)).toMatchObject({
      method: {
        type: 'grpo',
        grpo: { grader: { type: 'multi', graders: RULES, calculate_output: '0.7 * equals + 0.3 * wording' } },
      },
    });
  });

  it('say in Chinese what cannot be read of a formula', async () => {
    const page = await newJob(PROMPTS_FILE, 'zh-CN');
    await page.getByLabel('好的回答', { exact: true }).selectOption('用公式组合以上规则');
    const formula = page.getByLabel('公式', { exact: true });
    for (const [written, said] of [
      ['(equals', '末尾缺少“)”'],
      ['(equals wording)', '第 9 个字符“wording”之前缺少“)”'],
      ['equals +', '公式没有写完'],
      ['equals wording', '第 8 个字符处的“wording”放错了位置'],
      ['equals % 2', '第 8 个字符“%”不能用在公式里'],
      ['mean(equals)', '第 1 个字符处的“mean”不是可用的函数'],
      ['worth', '第 1 个字符处的“worth”不是规则的名称；可用的有 equals, contains, wording, spelling'],
      ['abs(1, 2)', '第 1 个字符处的“abs”最多取 1 个值'],
      [`${'('.repeat(40)}1`, '括号或乘方嵌套超过 32 层'],
    ] as const) {
      await formula.fill(written);
      await page.getByText(`公式无法读取：${said}`, { exact: true }).waitFor();
    }
    await page.getByText('请先修正表单中标出的地方').waitFor();
  });

  it('let several steps learn from the same answers', async () => {
    const page = await newJob(PROMPTS_FILE);
    await page.getByRole('button', { name: 'More settings' }).click();
    await page.getByLabel('Steps from the same answers').fill('2');
    expect(await submitted(page)).toMatchObject({ method: { grpo: { hyperparameters: { num_iterations: 2 } } } });
  });

  it('make a reward model of pairs', async () => {
    const page = await newJob(PAIRS_FILE);
    await page.getByRole('radio', { name: /^Reward model/ }).check();
    expect(await page.getByLabel('A good answer').count()).toBe(0);
    expect(await submitted(page)).toMatchObject({ training_file: PAIRS_FILE, method: { type: 'reward', reward: {} } });
  });

  it('show how the mean reward of a recorded run rose', async () => {
    const { page, faults } = await dashboard.open({ path: `/jobs/${REWARDED_JOB}` });
    await page.getByRole('img', { name: 'Mean reward over 30 steps' }).waitFor();
    expect(await page.locator('[data-points]').getAttribute('data-points')).toBe('30');
    expect(await page.locator('.u-legend').innerText()).toMatch(/Mean reward/);
    expect(await page.getByRole('table', { name: 'Is it better?' }).innerText()).toMatch(/0\.33[\s\S]*1/);
    expect(faults).toEqual([]);
  });
});

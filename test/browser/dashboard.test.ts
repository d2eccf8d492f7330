import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import { waitFor } from '@luthier/testing';
import { FAKE_KEY } from '../../web/dev/handlers/session.js';
import {
  BROKEN_FILE,
  DONE_JOB,
  FAILED_JOB,
  JUDGE_ID,
  PAIRS_FILE,
  PAIRS_JOB,
  TRAIN_FILE,
  TUNED_ID,
} from '../../web/dev/fixtures/ids.js';
import { describeDashboard } from './dashboard.js';

/** Run inside the page: what scripts there can read of storage. */
const STORED = 'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])';
/** Run inside the page: what everyone needs who does not see it or has a small screen. */
const BASICS = `({
  headings: document.querySelectorAll('h1').length,
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  unnamed: [...document.querySelectorAll('input, select, textarea, button, a[href]')]
    .filter((e) => !e.labels?.length && !e.getAttribute('aria-label') && (e.textContent ?? '').trim() === '')
    .map((e) => e.outerHTML.slice(0, 120)),
  doubled: [...document.querySelectorAll('[id]')].map((e) => e.id).filter((v, i, all) => all.indexOf(v) !== i),
})`;

/** Run inside the page: how much of the log lies below what is seen of it, in pixels. */
const BELOW_LOG = `(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight)(
  document.querySelector('pre[aria-label="Log of the run"]'))`;

describeDashboard('dashboard', (dashboard) => {
  const points = async (page: Page): Promise<number> =>
    Number((await page.locator('[data-points]').getAttribute('data-points')) ?? 0);

  it('signs in with the key, keeps it out of browser storage, and returns to the page that was asked for', async () => {
    const { page, faults } = await dashboard.open({ path: '/models', signedIn: false });
    await page.waitForURL(/\/sign-in\?next=/);
    await page.getByLabel('API key').fill('lk-wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('The API key is not known').waitFor();
    await page.getByLabel('API key').fill(FAKE_KEY);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL(/\/models$/);
    await page.getByRole('heading', { level: 1, name: 'Models' }).waitFor();
    const stored = await page.evaluate<string>(STORED);
    expect(stored).not.toContain(FAKE_KEY);
    expect(stored).not.toContain('luthier_session');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.waitForURL(/\/sign-in/);
    expect(faults).toEqual([]);
  });

  it('answers with a policy that lets only its own scripts run', async () => {
    const { page } = await dashboard.open();
    const response = await page.reload();
    const policy = response?.headers()['content-security-policy'] ?? '';
    expect(policy).toMatch(/script-src 'self' 'nonce-[A-Za-z0-9+/=]{20,}' 'strict-dynamic'/);
    expect(policy).not.toContain('unsafe');
  });

  it('lists jobs, and says what to do where there are none', async () => {
    const { page } = await dashboard.open();
    await page.getByRole('link', { name: 'support', exact: true }).waitFor();
    expect(await page.getByText('Failed', { exact: true }).count()).toBe(2);
    const { page: empty } = await dashboard.open({ empty: true });
    await empty.getByText('No jobs yet').waitFor();
    expect(await empty.locator('main').getByRole('link').allInnerTexts()).toEqual(
      expect.arrayContaining(['New job', 'Check a data file first']),
    );
  });

  it('the curve grows live, and goes on without gap after the stream was cut', async () => {
    const { page, faults } = await dashboard.open({ path: `/jobs/${dashboard.api.liveJobId}` });
    await page.getByText('Live', { exact: true }).waitFor();
    await waitFor(async () => (await points(page)) > 3);
    const before = await points(page);
    expect(dashboard.api.dropStreams()).toBeGreaterThan(0);
    await waitFor(async () => (await points(page)) > before + 5);
    const steps = await page.locator('.u-legend').innerText();
    expect(steps).toContain('Loss');
    expect(faults.filter((text) => !/ERR_|network/i.test(text))).toEqual([]);
  });

  it('shows verdict, numbers and misses of a finished job, and leads to the playground', async () => {
    const { page, faults } = await dashboard.open({ path: `/jobs/${DONE_JOB}` });
    await page.getByText('Better than the base').waitFor();
    const table = page.getByRole('table', { name: 'Is it better?' });
    expect(await table.innerText()).toMatch(/Perplexity[\s\S]*20\.8[\s\S]*1\.23/);
    expect(await table.innerText()).toMatch(/General questions[\s\S]*90% \(9\/10\)[\s\S]*80% \(8\/10\)/);
    await page.getByRole('heading', { name: 'What does the Lark lamp cost?' }).waitFor();
    await page.getByRole('link', { name: 'Try the model' }).click();
    await page.waitForURL(new RegExp(`/playground\\?model=${TUNED_ID}`));
    expect(faults).toEqual([]);
  });

  it('tells why a job failed and starts another with the suggested change written in', async () => {
    const { page } = await dashboard.open({ path: `/jobs/${FAILED_JOB}` });
    await page.getByText('The loss became NaN at step 14.').first().waitFor();
    await page.getByRole('link', { name: 'Start again with this change' }).click();
    await page.getByLabel('Learning rate').waitFor();
    expect(await page.getByLabel('Learning rate').inputValue()).toBe('0.0002');
  });

  it('shows issues by line and the plan before a job can be started, then cancels it after asking', async () => {
    const { page, faults } = await dashboard.open({ path: '/jobs/new' });
    const start = page.getByRole('button', { name: 'Start training' });
    await page.getByLabel('Model to start from').selectOption('smollm2-135m-instruct');
    await page.getByLabel('Training file', { exact: true }).selectOption(BROKEN_FILE);
    await page.getByText('Line 1', { exact: true }).waitFor();
    await page.getByText('No row of the training file can be used').waitFor();
    expect(await start.isDisabled()).toBe(true);
    await page.getByLabel('Training file', { exact: true }).selectOption(TRAIN_FILE);
    await page.getByText('303 of 304 rows usable').waitFor();
    await page.getByText('Fits', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'More settings' }).click();
    await page.getByLabel('Batch size, rows').fill('128');
    await page.getByText('Does not fit', { exact: true }).waitFor();
    expect(await start.isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Use this' }).click();
    await page.getByText('Fits', { exact: true }).waitFor();
    await start.click();
    await page.waitForURL(/\/jobs\/ftjob-new/);
    await page.getByRole('button', { name: 'Cancel job' }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Keep it running' }).click();
    expect(await page.getByText('Cancelled', { exact: true }).count()).toBe(0);
    await page.getByRole('button', { name: 'Cancel job' }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Cancel the job' }).click();
    await page.getByText('Cancelled', { exact: true }).waitFor();
    expect(faults).toEqual([]);
  });

  it('does not plan anew for a name, and starts nothing on the plan of something else', async () => {
    const { page } = await dashboard.open({ path: '/jobs/new' });
    const start = page.getByRole('button', { name: 'Start training' });
    await page.getByLabel('Model to start from').selectOption('smollm2-135m-instruct');
    await page.getByLabel('Training file', { exact: true }).selectOption(TRAIN_FILE);
    await page.getByText('Fits', { exact: true }).waitFor();
    let plans = 0;
    let answer = (): void => undefined;
    const held = new Promise<void>((resolve) => (answer = resolve));
    await page.route('**/api/v1/plan', async (route) => {
      plans += 1;
      await held;
      await route.continue();
    });
    await page.getByLabel('Name suffix (optional)').fill('support');
    expect(await start.isEnabled()).toBe(true);
    await page.getByRole('button', { name: 'More settings' }).click();
    await page.getByLabel('Epochs').fill('2');
    await page.locator('[aria-busy=true]').getByText('Fits', { exact: true }).waitFor();
    expect(await start.isDisabled()).toBe(true);
    answer();
    await page.locator('[aria-busy=false]').getByText('Fits', { exact: true }).waitFor();
    expect(await start.isEnabled()).toBe(true);
    expect(plans).toBe(1);
  });

  it('offers the methods that learn from the rows of a file, and shows how far answers came apart', async () => {
    const { page, faults } = await dashboard.open({ path: '/jobs/new' });
    await page.getByLabel('Model to start from').selectOption('smollm2-135m-instruct');
    const file = page.getByLabel('Training file', { exact: true });
    await file.selectOption(TRAIN_FILE);
    await page.getByRole('radio', { name: /^Supervised/ }).waitFor();
    expect(await page.getByRole('radio').count()).toBe(1);
    await file.selectOption(PAIRS_FILE);
    await page.getByText('The file holds pairs').waitFor();
    expect(await page.getByRole('radio', { name: /^DPO/ }).isChecked()).toBe(true);
    expect(await page.getByRole('radio', { name: /^SimPO/ }).isDisabled()).toBe(true);
    await page.getByRole('radio', { name: /^ORPO/ }).check();
    await page.getByText('Fits', { exact: true }).waitFor();
    const submitted = page.waitForRequest((request) => request.url().endsWith('/v1/fine_tuning/jobs'));
    await page.getByRole('button', { name: 'Start training' }).click();
    expect((await submitted).postDataJSON()).toMatchObject({ training_file: PAIRS_FILE, method: { type: 'orpo' } });
    const { page: job, faults: jobFaults } = await dashboard.open({ path: `/jobs/${PAIRS_JOB}` });
    await job.getByText('Chosen answers that gained more than the rejected').waitFor();
    const table = job.getByRole('table', { name: 'Is it better?' });
    expect(await table.innerText()).toMatch(/Chosen answers ahead[\s\S]*0%[\s\S]*85%/);
    expect([...faults, ...jobFaults]).toEqual([]);
  });

  it('pauses and resumes a job, and shows the log of its run to whoever asks for it', async () => {
    const { page, faults } = await dashboard.open({ path: `/jobs/${dashboard.api.liveJobId}` });
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('Paused; it can go on from its last checkpoint').waitFor();
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    expect(await page.getByText('loss 3.4000').count()).toBe(0);
    await page.getByRole('button', { name: 'Show the log' }).click();
    await page.getByText('step 3/120 loss 3.4000').waitFor();
    expect(faults).toEqual([]);
  });

  it('follows the log of a run that goes on, also after the stream was cut', async () => {
    const { page } = await dashboard.open({ path: `/jobs/${dashboard.api.liveJobId}` });
    await page.getByRole('button', { name: 'Show the log' }).click();
    const log = page.getByLabel('Log of the run');
    await log.getByText('a new line, number 3').waitFor();
    dashboard.api.dropStreams();
    await log.getByText('a new line, number 6').waitFor();
    const numbers = [...(await log.innerText()).matchAll(/number (\d+)/g)].map(([, number]) => Number(number));
    expect(numbers).toEqual(numbers.map((_, index) => index + 2));
    await waitFor(async () => (await page.evaluate<number>(BELOW_LOG)) < 50);
  });

  it.each([
    ['en-US', 'A volume cannot be mounted on node “gpu-1”.', 'Kubernetes says of the run: NetworkNotReady'],
    ['zh-CN', '节点“gpu-1”：无法挂载存储卷。', 'Kubernetes 对训练的说明：NetworkNotReady'],
  ])('shows in %s what the cluster said, with its own words on request', async (locale, known, other) => {
    const { page, faults } = await dashboard.open({ path: `/jobs/${dashboard.api.clusterJobId}`, locale });
    const event = page.getByRole('listitem').filter({ hasText: known });
    await event.waitFor();
    await page.getByText(other).waitFor();
    expect(await event.innerText()).toMatch(/ft-cluster\S+-1-0-x7k2p\D+12/);
    expect(await page.getByText('code = DeadlineExceeded').count()).toBe(0);
    await event.getByRole('button').click();
    await page.getByText('code = DeadlineExceeded').waitFor();
    expect(faults).toEqual([]);
  });

  it.each([
    ['en-US', 'node-lost', /^The platform’s own sentence$/],
    ['zh-CN', 'node-lost', /节点“gpu-1”自 2026.+ 起失去响应/],
    ['en-US', 'stalled', /^The platform’s own sentence$/],
    ['zh-CN', 'stalled', /训练自 2026.+ 起没有进展/],
  ] as const)('says in %s while a job trains that its run is in trouble (%s), until that is over', async (...row) => {
    const [locale, reason, sentence] = row;
    const { page, faults } = await dashboard.open({ path: `/jobs/${dashboard.api.clusterJobId}`, locale });
    await page.getByText('ft-cluster').first().waitFor();
    const params = { node: 'gpu-1', since: '2026-11-24T10:00:00Z' };
    dashboard.api.placeClusterJob({ reason, params, message: 'The platform’s own sentence', excerpt: null });
    await page.getByText(sentence).waitFor();
    dashboard.api.placeClusterJob(null);
    await page.getByText(sentence).waitFor({ state: 'detached' });
    expect(faults).toEqual([]);
  });

  it('says that the node of a run is lost, and restarts it elsewhere after asking, from the step it names', async () => {
    const { page, faults } = await dashboard.open({ path: `/jobs/${dashboard.api.liveJobId}` });
    await page.getByRole('table', { name: 'Checkpoints' }).getByRole('row').nth(1).waitFor();
    await page.getByRole('button', { name: 'Restart run' }).waitFor();
    dashboard.api.loseNode();
    await page.getByText('Node "gpu-1" stopped answering').waitFor();
    await page.getByRole('button', { name: 'Restart elsewhere' }).click();
    await page
      .getByRole('alertdialog')
      .getByText(/goes on from step \d+/)
      .waitFor();
    await page.getByRole('button', { name: 'Restart the run' }).click();
    await page.getByText('Attempt 1 on gpu-1 is being ended').waitFor();
    await page.getByRole('button', { name: 'Restart elsewhere' }).waitFor({ state: 'detached' });
    expect(faults).toEqual([]);
  });

  it('pages through all events of a finished job, to the first', async () => {
    const { page } = await dashboard.open({ path: `/jobs/${DONE_JOB}` });
    await page.getByText('The job is complete.').waitFor();
    expect(await page.getByText('The job was created.').count()).toBe(0);
    await page.getByRole('button', { name: 'Show more', exact: true }).click();
    await page.getByText('The job was created.').waitFor();
    expect(await page.getByRole('table', { name: 'Checkpoints' }).getByRole('row').count()).toBe(5);
  });

  it('says in Chinese what the platform says in English', async () => {
    const { page } = await dashboard.open({ path: `/jobs/${DONE_JOB}`, locale: 'zh-CN' });
    await page.getByText('微调模型已就绪').waitFor();
    await page.getByText('76 个留出问题答对 63 个，基础模型答对 0 个。').waitFor();
    await page.getByText('训练约需 1.4 GiB，可用 5.8 GiB。').waitFor();
    await page.getByText('第 120 步，共 120 步：损失 0.18').waitFor();
    await page.goto(`/jobs/${FAILED_JOB}`);
    await page.getByText('训练发散：损失变为无穷大或不是数字').first().waitFor();
    await page.getByText('详情（原文）：The loss became NaN').waitFor();
    await page.goto(`/files/${TRAIN_FILE}`);
    await page.getByText('这一行与另一行重复（与第 41 行相同）').waitFor();
    await page.getByText('请填写该字段，或删除这一行。').waitFor();
  });

  it('the language switch keeps the page; the first language is the browser’s', async () => {
    const { page } = await dashboard.open({ path: `/jobs/${DONE_JOB}`, locale: 'zh-CN' });
    await page.getByText('优于基础模型').waitFor();
    expect(await page.locator('html').getAttribute('lang')).toBe('zh-CN');
    await page.getByRole('button', { name: 'Switch to English' }).click();
    await page.getByText('Better than the base').waitFor();
    expect(new URL(page.url()).pathname).toBe(`/jobs/${DONE_JOB}`);
    await page.reload();
    await page.getByText('Better than the base').waitFor();
  });

  it('answers one question with base and tuned side by side, with the time of each', async () => {
    const { page, faults } = await dashboard.open({ path: `/playground?model=${TUNED_ID}` });
    const examples = page.getByRole('group', { name: 'Examples' }).getByRole('button');
    await examples.first().waitFor();
    expect(await examples.count()).toBe(3);
    await page.getByLabel('Question').fill('How long may I send a lamp back?');
    await page.getByRole('button', { name: 'Ask both' }).click();
    await page.locator('[data-answer=tuned]').getByText('Within 45 days').waitFor();
    await page.locator('[data-answer=base]').getByText('It depends on the shop').waitFor();
    expect(await page.getByText(/tokens\/s/).count()).toBe(2);
    expect(faults).toEqual([]);
  });

  it('tells what the platform said when something cannot be done', async () => {
    const { page } = await dashboard.open({ path: `/files/${TRAIN_FILE}` });
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('alert').getByText('The file is in use').waitFor();
    const { page: gone } = await dashboard.open({ path: '/jobs/ftjob-nothing' });
    await gone.getByText('There is no such job').waitFor();
  });

  it('shows an operator the cluster, what is not up to date, and on request what is wrong with it', async () => {
    const { page, faults } = await dashboard.open({ path: '/cluster' });
    await page.getByText('Not up to date: workloads').waitFor();
    const devices = page.getByRole('table', { name: 'GPUs' });
    expect(await devices.getByRole('row').nth(1).innerText()).toMatch(/H100[^]*11 of 24/);
    expect(await page.getByRole('row', { name: /gpu-2/ }).getByText('Closed').count()).toBe(1);
    await page.getByRole('button', { name: 'Check now' }).click();
    await page.getByText('1 check failed').waitFor();
    expect(await page.getByRole('listitem').first().innerText()).toMatch(/Wrong[^]*regcred[^]*What to do: Create it/);
    await page.getByRole('navigation').getByRole('link', { name: 'Cluster' }).waitFor();
    expect(faults).toEqual([]);
  });

  it('tells an operator in Chinese what is wrong with the cluster, and what to do', async () => {
    const { page, faults } = await dashboard.open({ path: '/cluster', locale: 'zh-CN' });
    await page.getByRole('button', { name: '开始检查' }).click();
    await page.getByText('1 项检查未通过').waitFor();
    const found = await page
      .getByRole('listitem')
      .filter({ hasText: /有问题|注意|正常/ })
      .allInnerTexts();
    expect(
      found.map((text) =>
        text
          .split('\n')
          .slice(1)
          .filter((line) => line !== ''),
      ),
    ).toEqual([
      [
        '镜像拉取密钥',
        '命名空间 luthier-training 中没有 regcred。',
        '处理办法：创建它：kubectl -n luthier-training create secret docker-registry regcred ...',
      ],
      [
        'gpu 的位置',
        '正在等待 GPU：需要同一节点上的 1 个，目前空闲 0 个。',
        '处理办法：集群繁忙时无需处理，训练会排队等待。',
      ],
      [
        '时钟',
        '本机与 API server 的时钟相差 7 秒。',
        '处理办法：让两边都与时间服务器（NTP）同步：Lease 和 token 都依赖时钟。',
      ],
      ['API', '集群 API 响应正常，提供 84 种资源。'],
    ]);
    expect(faults).toEqual([]);
  });

  it.each([
    [
      'en-US',
      'Waiting for GPUs: needs 1 on one node, 0 free now.',
      'No node has 16 GPUs; the largest has 8. Use 2 nodes x 8 GPUs.',
    ],
    [
      'zh-CN',
      '正在等待 GPU：需要同一节点上的 1 个，目前空闲 0 个。',
      '没有节点有 16 个 GPU；最大的节点有 8 个。可以改用 2 个节点 × 8 个 GPU。',
    ],
  ])('says in %s what a run would wait for, and why one is refused', async (locale, waits, refused) => {
    dashboard.api.fillCluster(true);
    try {
      const { page } = await dashboard.open({ path: '/jobs/new', locale });
      await page.getByLabel(/^(Model to start from|起始模型)/).selectOption('smollm2-135m-instruct');
      await page
        .getByLabel(/^(Training file|训练文件)/)
        .first()
        .selectOption(TRAIN_FILE);
      await page.getByText(waits).waitFor();
      await page.getByText(/^(Where it runs|运行在哪里)$/).click();
      const asked = page.waitForRequest((request) => request.postData()?.includes('devices_per_node') === true);
      await page.getByLabel(/^(GPUs on each node|每个节点的 GPU 数)/).fill('2');
      expect((await asked).postDataJSON()).toMatchObject({ resources: { devices_per_node: 2 } });
      await page.getByRole('button', { name: /Start training|开始训练/ }).click();
      await page.getByText(refused).waitFor();
    } finally {
      dashboard.api.fillCluster(false);
    }
  });

  it('does not speak of clusters where runs are made on the machine itself', async () => {
    const { page } = await dashboard.open({ path: '/cluster', empty: true });
    await page.getByText('Runs are made on this machine').waitFor();
    expect(await page.getByRole('navigation').getByRole('link', { name: 'Cluster' }).count()).toBe(0);
  });

  const PAGES = [
    '/sign-in',
    '/jobs',
    '/jobs/new',
    `/jobs/${DONE_JOB}`,
    `/jobs/${FAILED_JOB}`,
    '/files',
    `/files/${BROKEN_FILE}`,
    `/files/${TRAIN_FILE}`,
    '/datasets/ds-train000000000000000',
    '/models',
    `/models/${TUNED_ID}`,
    `/models/${JUDGE_ID}`,
    '/playground',
    '/cluster',
  ];

  it.each(PAGES)('%s has one heading, labels on every control, and no sideways scrolling on a phone', async (path) => {
    const { page, faults } = await dashboard.open({ path, width: 390, dark: true });
    await page.locator('h1').first().waitFor();
    await page.locator('[role=status].animate-pulse').first().waitFor({ state: 'detached' });
    const found = await page.evaluate<unknown>(BASICS);
    expect(found).toEqual({ headings: 1, wide: 0, unnamed: [], doubled: [] });
    expect(faults).toEqual([]);
  });

  it('takes less than 200 MB after all of this', () => {
    const pss = Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${dashboard.pid}/smaps_rollup`, 'utf8'))?.[1]);
    console.log(`dashboard PSS: ${(pss / 1024).toFixed(0)} MiB`);
    expect(pss / 1024).toBeLessThan(200);
  });
});

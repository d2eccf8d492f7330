import { afterAll, afterEach, beforeAll, describe } from '@jest/globals';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { AppError, httpCreateJob } from '@luthier/contracts';
import { steadyPort, waitFor } from '@luthier/testing';
import { toJobRequest } from '../../services/gateway/src/jobs/job-request.js';
import { startFakeApi } from '../../web/dev/fake-api.js';
import type { FakeApi } from '../../web/dev/fake-api.js';
import { Refusal } from '../../web/dev/handlers/call.js';
import { FAKE_KEY } from '../../web/dev/handlers/session.js';

const SERVER = join(import.meta.dirname, '../../web/.next/standalone/web/server.js');
/** Only what never comes is given up: how long a page takes says how busy the machine is. */
const TIMEOUT_MS = 90_000;
const CHROMIUM = process.env['LUTHIER_CHROMIUM'] || '/usr/bin/chromium';

/** False says loudly that these tests cannot run; where everything is required it throws. */
function canBrowse(): boolean {
  const missing = [CHROMIUM, SERVER].filter((path) => !existsSync(path));
  if (missing.length === 0) return true;
  const reason = `browser tests need ${missing.join(' and ')}`;
  if (process.env['LUTHIER_TEST_REQUIRE'] === 'all') throw new Error(reason);
  console.warn(`SKIPPED: ${reason}`);
  return false;
}

export interface Dashboard {
  api: FakeApi;
  emptyApi: FakeApi;
  /** A page of a new visitor; signed in unless told otherwise. What the page logs as an error is kept in `faults`. */
  open: (options?: OpenOptions) => Promise<{ page: Page; faults: string[] }>;
  pid: number;
  /** Leaves all pages, so that none of them works beside the next test. */
  leave: () => Promise<void>;
  close: () => Promise<void>;
}
interface OpenOptions {
  path?: string;
  locale?: string;
  width?: number;
  dark?: boolean;
  empty?: boolean;
  signedIn?: boolean;
}

/** What the dashboard asks for is read as the gateway reads it. */
function checkJob(body: unknown): Refusal | null {
  try {
    toJobRequest(httpCreateJob.parse(body));
    return null;
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    const { httpStatus, code, message, hint, param } = thrown;
    return new Refusal(httpStatus, code, message, hint, { param });
  }
}

/** Tests of a dashboard of their own, which no page of one test works beside another. Skipped with a word where it cannot run. */
export function describeDashboard(name: string, tests: (dashboard: Dashboard) => void): void {
  const dashboard = {} as Dashboard; // as it is once it has started, before the first test
  (canBrowse() ? describe : describe.skip)(name, () => {
    beforeAll(async () => void Object.assign(dashboard, await startDashboard()));
    afterEach(() => dashboard.leave());
    afterAll(() => dashboard.close());
    tests(dashboard);
  });
}

/** The built dashboard as its own process behind the fake API, and a browser. */
async function startDashboard(): Promise<Dashboard> {
  const port = await steadyPort();
  const child = spawn(process.execPath, ['--max-old-space-size=128', SERVER], {
    stdio: 'ignore',
    env: { PORT: String(port), HOSTNAME: '127.0.0.1', NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' },
  });
  const webUrl = `http://127.0.0.1:${port}`;
  const answers = (): Promise<boolean> =>
    fetch(`${webUrl}/sign-in`).then(
      (response) => response.ok,
      () => false,
    );
  await waitFor(answers);
  const api = await startFakeApi({ webUrl, checkJob });
  const emptyApi = await startFakeApi({ webUrl, empty: true });
  const browser: Browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  });
  let contexts: BrowserContext[] = [];
  const open = async (options: OpenOptions = {}): Promise<{ page: Page; faults: string[] }> => {
    const { path = '/jobs', locale = 'en-US', width = 1280, dark = false, empty = false, signedIn = true } = options;
    const context = await browser.newContext({
      baseURL: (empty ? emptyApi : api).url,
      locale,
      viewport: { width, height: width < 600 ? 844 : 900 },
      colorScheme: dark ? 'dark' : 'light',
    });
    contexts.push(context);
    const page = await context.newPage();
    page.setDefaultTimeout(TIMEOUT_MS);
    const faults: string[] = [];
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !/status of 40[14]/.test(message.text())) faults.push(message.text());
    });
    if (signedIn) await context.request.post('/api/v1/session', { data: { key: FAKE_KEY } });
    await page.goto(path);
    return { page, faults };
  };
  const leave = async (): Promise<void> => {
    await Promise.all(contexts.map((context) => context.close()));
    contexts = [];
  };
  const close = async (): Promise<void> => {
    await leave();
    await browser.close();
    await Promise.all([api.close(), emptyApi.close()]);
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await exited;
  };
  return { api, emptyApi, open, pid: child.pid ?? 0, leave, close };
}

import { expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT, describeWithTorch, python } from './torch-environment.js';

const run = promisify(execFile);
/** Ends only what hangs: all tests of the runtime took seven minutes on two cores. */
const TIMEOUT_MS = 1_800_000;

/** What the tool printed when it failed; empty when all was well. */
async function complaints(file: string, args: readonly string[]): Promise<string> {
  try {
    await run(file, [...args], { cwd: PROJECT, timeout: TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 });
    return '';
  } catch (cause) {
    const { stdout = '', stderr = '' } = cause as { stdout?: string; stderr?: string };
    return `${stdout}${stderr}` || String(cause);
  }
}

const inPython = (...args: string[]): Promise<string> => complaints(python ?? '', ['-B', '-m', ...args]);

describeWithTorch('the Python of runtime-torch', () => {
  it('passes its own tests', async () => expect(await inPython('pytest', '--quiet')).toBe(''), TIMEOUT_MS);

  it(
    'has complete and right types',
    async () => {
      const pyright = join(PROJECT, '../../node_modules/pyright/index.js');
      expect(await complaints(process.execPath, [pyright, '--pythonpath', python ?? ''])).toBe('');
    },
    TIMEOUT_MS,
  );

  it('is linted', async () => expect(await inPython('ruff', 'check', '--no-cache')).toBe(''), TIMEOUT_MS);

  it(
    'is formatted',
    async () => expect(await inPython('ruff', 'format', '--check', '--no-cache')).toBe(''),
    TIMEOUT_MS,
  );
});

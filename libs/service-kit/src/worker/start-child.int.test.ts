import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { AppError } from '@luthier/contracts';
import { tempDir } from '@luthier/testing';
import { launchOptions } from './launch-options.js';
import { startChild } from './start-child.js';

const here = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
/** What a child does with its input. */
const CHILD = `
  import { runInChild } from ${here('./run-in-child.ts')};
  runInChild(async (how: string) => {
    if (how === 'answer') return 42;
    if (how === 'abort') process.abort();
    process.stderr.write('at work');
    const kept: Buffer[] = [];
    for (;;) {
      if (how === 'grow') kept.push(Buffer.alloc(8 << 20, 1));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
`;
const PARENT = `
  import { startChild } from ${here('./start-child.ts')};
  await startChild({ entry: new URL('./x.child.js', import.meta.url), data: 'wait', memoryMib: 4_096, timeoutMs: 600_000 });
`;

let dir = '';
beforeAll(async () => {
  dir = await tempDir('child');
  await writeFile(join(dir, 'package.json'), '{"type":"module"}');
  await writeFile(join(dir, 'x.child.ts'), CHILD);
  await writeFile(join(dir, 'parent.ts'), PARENT);
});

const start = (data: string, change: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<number> =>
  startChild({ entry: pathToFileURL(join(dir, 'x.child.js')), data, memoryMib: 400, timeoutMs: 60_000, ...change });

describe('a process for work that may take too much', () => {
  it('gives back what the work returned', async () => expect(await start('answer')).toBe(42));

  it('is ended beyond its memory, its time and when it is told so, and its own end is told', async () => {
    await expect(start('grow')).rejects.toMatchObject({ code: 'host.out-of-memory' });
    await expect(start('wait', { timeoutMs: 1 })).rejects.toMatchObject({ code: 'request.timeout' });
    const stopping = new AbortController();
    const stopped = start('wait', { signal: stopping.signal });
    stopping.abort(new AppError('runtime.interrupted'));
    await expect(stopped).rejects.toMatchObject({ code: 'runtime.interrupted' });
    await expect(start('abort')).rejects.toMatchObject({ code: 'internal', message: 'The work ended with SIGABRT' });
  });

  it('ends with its parent, also where that was killed', async () => {
    const { file, execArgv = [] } = launchOptions(pathToFileURL(join(dir, 'parent.js')));
    const parent = spawn(process.execPath, [...execArgv, fileURLToPath(file)], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    for await (const part of parent.stderr) {
      said += String(part);
      if (said.includes('at work')) parent.kill('SIGKILL');
    }
    // The pipe is closed once neither holds it any more.
    expect(said).toContain('at work');
    if (parent.exitCode === null && parent.signalCode === null) await once(parent, 'exit');
    expect(parent.signalCode).toBe('SIGKILL');
  });
});

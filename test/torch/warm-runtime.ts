import { afterAll, beforeAll } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROJECT, command } from './torch-environment.js';

const START_TIMEOUT_MS = 120_000;
const PROGRAM = join(PROJECT, 'tests/warm_runtime.py');

/**
 * A command that does what the runtime's own does, in a process forked from one that has PyTorch imported: for what is not
 * about how the process starts. To be called within a `describe`, whose tests may use it.
 */
export function warmRuntime(): readonly string[] {
  const [python = '', main = ''] = command;
  const dir = mkdtempSync(join(tmpdir(), 'luthier-warm-'));
  const socket = join(dir, 'socket');
  let server: ChildProcess | undefined;

  beforeAll(async () => {
    server = spawn(python, ['-B', PROGRAM, 'serve', socket, main], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(server, 'exit').then(() => {
      throw new Error('the warm runtime did not start');
    });
    await Promise.race([server.stdout && once(server.stdout, 'data'), ended]);
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    server?.stdin?.end();
    if (server?.exitCode === null) await once(server, 'exit');
    await rm(dir, { recursive: true, force: true });
  });

  // Without site-packages: the client needs none, and they take time to find.
  return [python, '-I', '-S', PROGRAM, 'run', socket, main];
}

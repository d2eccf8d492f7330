import { describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { knownCapabilities } from './support/known-runtimes.js';

describe("the chart's runtimes", () => {
  it('can do what runtime-node says that it can', async () => {
    const program = fileURLToPath(new URL('../../services/runtime-node/dist/main.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [program, 'capabilities'], { timeout: 300_000 });
    expect(await knownCapabilities('runtime-node')).toEqual(JSON.parse(stdout));
  });
});

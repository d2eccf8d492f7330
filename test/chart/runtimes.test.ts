import { describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { knownCapabilities } from './support/known-runtimes.js';

describe("the chart's runtimes", () => {
  it('can do what runtime-node says that it can', async () => {
    const program = fileURLToPath(new URL('../../services/runtime-node/dist/main.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [program, 'capabilities'], { timeout: 300_000 });
    const said = JSON.parse(stdout) as { engines: { usable: boolean }[] };
    // What else a machine can or cannot compute with is its own; an image has what needs nothing of the machine.
    const engines = said.engines.filter(({ usable }) => usable);
    const known = (await knownCapabilities('runtime-node')) as { engines: object[] };
    expect(engines).toEqual(expect.arrayContaining(known.engines));
    expect(known).toEqual({ ...said, engines: known.engines });
  });
});

import { describe, it } from '@jest/globals';
import { join } from 'node:path';
import { findPythonEnvironment } from '@luthier/local-servers';

export const PROJECT = join(import.meta.dirname, '../../services/runtime-torch');

/** The environment that `scripts/torch-env.mjs` makes; the tier makes it before its tests. */
export const python = await findPythonEnvironment({
  name: 'runtime-torch',
  lockFile: join(PROJECT, 'requirements.lock'),
});

/** What a profile of the trainer names. */
export const command: readonly string[] = [python ?? '', join(PROJECT, 'main.py')];

/** As `describe`; without an environment skipped with a word, or failed where everything is required. */
export function describeWithTorch(name: string, tests: () => void): void {
  if (python !== undefined) describe(name, tests);
  else if (process.env['LUTHIER_TEST_REQUIRE'] === 'all')
    it(`${name}: needs the Python environment`, () => {
      throw new Error('There is no Python environment; `node scripts/torch-env.mjs` says why.');
    });
  else describe.skip(`SKIPPED, no Python environment (node scripts/torch-env.mjs): ${name}`, tests);
}

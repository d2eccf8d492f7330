import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { capabilities, trainResult } from '@luthier/contracts';
import type { Method } from '@luthier/contracts';
import { removeHome, tempDir } from '@luthier/testing';
import { trainSpec, writeTinyModel, writeTinyPairs, writeTinyRatedData } from './fixtures.js';
import { RuntimeProcess, eventsOfType } from './runtime-process.js';

const TIMEOUT_MS = 240_000;

/** What a runtime that lists preference methods makes of the datasets as the platform writes them; within a `describe`. */
export function describePreference(command: readonly string[]): void {
  let root = '';
  beforeAll(async () => {
    root = await tempDir('preference');
    await writeTinyModel(join(root, 'model'));
  });
  afterAll(() => removeHome(root));

  it(
    'lists the preference methods',
    async () => {
      const { log } = await RuntimeProcess.start(command, ['capabilities']).ended;
      expect(capabilities.parse(JSON.parse(log)).methods).toEqual(
        expect.arrayContaining(['dpo', 'orpo', 'simpo', 'kto']),
      );
    },
    TIMEOUT_MS,
  );

  it.each<[string, Method, typeof writeTinyPairs]>([
    ['pairs', { type: 'dpo', loss: 'sigmoid', beta: 0.1, labelSmoothing: 0 }, writeTinyPairs],
    ['rated rows', { type: 'kto', beta: 0.1, desirableWeight: 1, undesirableWeight: 1 }, writeTinyRatedData],
  ])(
    'learns from stored %s and says how answers compare',
    async (_what, method, write) => {
      const [trainDir, heldOutDir] = [join(root, `${method.type}-train`), join(root, `${method.type}-held-out`)];
      await write(trainDir, 32, 1);
      await write(heldOutDir, 8, 2);
      const folders = { modelDir: join(root, 'model'), trainDir, heldOutDir, outputDir: join(root, method.type) };
      const spec = { ...trainSpec(folders), method };
      const { code, log } = await (await RuntimeProcess.startSpec(command, spec)).ended;
      expect({ code, log }).toEqual({ code: 0, log: '' });
      const { steps, base, tuned } = trainResult.parse((await eventsOfType(spec.outputDir, 'result'))[0]?.result);
      expect(steps).toBe(14); // of 32 pairs, or rows, by fives, twice
      expect(base?.loss).toBeCloseTo(method.type === 'dpo' ? Math.LN2 : 0.5, 6);
      expect(tuned?.loss).toBeLessThan(base?.loss ?? 0);
      expect(tuned?.metrics?.['rewardMargin']).toBeGreaterThan(0.1);
      const evaluations = await eventsOfType(spec.outputDir, 'evaluation');
      expect(evaluations.every(({ metrics }) => (metrics['evaluationRewardMargin'] ?? 0) > 0)).toBe(true);
    },
    TIMEOUT_MS,
  );
}

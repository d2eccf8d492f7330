import { expect, it } from '@jest/globals';
import { join } from 'node:path';
import type { RuntimeSpec } from '@luthier/contracts';
import { mergePeftAdapter } from '@luthier/formats';
import { removeHome, tempDir } from '@luthier/testing';
import { trainSpec, writeTinyData, writeTinyModel } from '../runtime-conformance/fixtures.js';
import { RuntimeProcess, eventsOfType } from '../runtime-conformance/runtime-process.js';
import { command, describeWithTorch } from './torch-environment.js';

/** The scores that a run has found. */
async function scoresOf(spec: RuntimeSpec): Promise<{ base: number | undefined; tuned: number | undefined }> {
  const { code, log } = await (await RuntimeProcess.startSpec(command, spec)).ended;
  expect({ code, log }).toEqual({ code: 0, log: expect.any(String) });
  const result = (await eventsOfType(spec.outputDir, 'result'))[0]?.result;
  if (result?.mode !== 'train' && result?.mode !== 'score') throw new Error('the run has no scores');
  return { base: result.base?.loss, tuned: result.tuned?.loss };
}

describeWithTorch('an adapter with magnitudes (DoRA)', () => {
  it('scores the same when it is merged into its base', async () => {
    const root = await tempDir('merged');
    const [modelDir, adapted, merged] = [join(root, 'model'), join(root, 'out'), join(root, 'merged')];
    const [trainDir, heldOutDir] = [join(root, 'train'), join(root, 'held-out')];
    await writeTinyModel(modelDir);
    await writeTinyData(trainDir, 17, 1);
    await writeTinyData(heldOutDir, 7, 2);
    const spec = trainSpec({ modelDir, trainDir, heldOutDir, outputDir: adapted });
    const tuning = { ...spec.tuning, useDora: true } as RuntimeSpec['tuning'];
    const trained = await scoresOf({ ...spec, tuning });
    await mergePeftAdapter({ modelDir, adapterDir: join(adapted, 'adapter'), outDir: merged });
    const again = await scoresOf({ ...spec, mode: 'score', modelDir: merged, outputDir: join(root, 'scored') });
    await removeHome(root);
    expect(trained.tuned).not.toBeCloseTo(trained.base ?? 0, 1);
    // The base is kept in halves, and what is merged is rounded to them.
    expect(again.base).toBeCloseTo(trained.tuned ?? 0, 2);
  }, 240_000);
});

import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { join } from 'node:path';
import { scoreResult, trainResult } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import { openPeftAdapter } from '@luthier/formats';
import { removeHome, tempDir } from '@luthier/testing';
import { trainSpec, writeTinyData, writeTinyModel } from '../runtime-conformance/fixtures.js';
import { RuntimeProcess, eventsOfType } from '../runtime-conformance/runtime-process.js';
import { command as torch, describeWithTorch } from './torch-environment.js';

const node = [process.execPath, join(import.meta.dirname, '../../services/runtime-node/dist/main.js')];
/** Both sum in float32, in another order. */
const TOLERANCE = 1e-3;
const TIMEOUT_MS = 240_000;

describeWithTorch('the two runtimes', () => {
  jest.setTimeout(2 * TIMEOUT_MS);
  let root = '';
  let runs = 0;
  const spec = (changes: Partial<RuntimeSpec> = {}): RuntimeSpec => {
    runs += 1;
    const folders = {
      modelDir: join(root, 'model'),
      trainDir: join(root, 'train'),
      heldOutDir: join(root, 'held-out'),
      outputDir: join(root, `out-${runs}`),
    };
    return { ...trainSpec(folders), ...changes };
  };
  const run = async (command: readonly string[], asked: RuntimeSpec): Promise<void> => {
    const { code, log } = await (await RuntimeProcess.startSpec(command, asked)).ended;
    expect({ code, log }).toEqual({ code: 0, log: '' });
  };
  let tuned: { node: RuntimeSpec; torch: RuntimeSpec };

  beforeAll(async () => {
    root = await tempDir('cross-runtime');
    await writeTinyModel(join(root, 'model'));
    await writeTinyData(join(root, 'train'), 33, 1);
    await writeTinyData(join(root, 'held-out'), 7, 2);
    tuned = { node: spec(), torch: spec() };
    await run(node, tuned.node);
    await run(torch, tuned.torch);
  }, TIMEOUT_MS);
  afterAll(() => removeHome(root));

  it('take the same rows and come by the same losses, gradients and learning rates', async () => {
    const [ours, theirs] = [
      await eventsOfType(tuned.torch.outputDir, 'step'),
      await eventsOfType(tuned.node.outputDir, 'step'),
    ];
    expect(ours.map(({ tokens, trainedTokens }) => ({ tokens, trainedTokens }))).toEqual(
      theirs.map(({ tokens, trainedTokens }) => ({ tokens, trainedTokens })),
    );
    for (const [i, step] of ours.entries()) {
      expect(Math.abs(step.loss - (theirs[i]?.loss ?? 0))).toBeLessThan(TOLERANCE);
      expect(step.gradNorm / (theirs[i]?.gradNorm ?? 0)).toBeCloseTo(1, 2);
      expect(step.learningRate).toBeCloseTo(theirs[i]?.learningRate ?? 0, 9);
    }
  });

  it('give the same scores, before and after', async () => {
    const resultOf = async ({ outputDir }: RuntimeSpec) =>
      trainResult.parse((await eventsOfType(outputDir, 'result'))[0]?.result);
    const [ours, theirs] = [await resultOf(tuned.torch), await resultOf(tuned.node)];
    for (const which of ['base', 'tuned'] as const) {
      expect(ours[which]?.trainedTokens).toBe(theirs[which]?.trainedTokens);
      expect(Math.abs((ours[which]?.loss ?? 0) - (theirs[which]?.loss ?? 1))).toBeLessThan(TOLERANCE);
      expect(ours[which]?.tokenAccuracy).toBeCloseTo(theirs[which]?.tokenAccuracy ?? 0, 2);
    }
  });

  it('read each other’s adapters', async () => {
    const adapterOf = ({ outputDir }: RuntimeSpec): string => join(outputDir, 'adapter');
    const names = async (adapter: string): Promise<string[]> =>
      [...(await openPeftAdapter(adapter)).weights.tensors.keys()].sort();
    expect(await names(adapterOf(tuned.torch))).toEqual(await names(adapterOf(tuned.node)));
    const scored = async (command: readonly string[], adapterDir: string): Promise<number> => {
      const asked = spec({ mode: 'score', adapterDir });
      await run(command, asked);
      return scoreResult.parse((await eventsOfType(asked.outputDir, 'result'))[0]?.result).tuned?.loss ?? 0;
    };
    const byNode = await scored(node, adapterOf(tuned.torch));
    const byTorch = await scored(torch, adapterOf(tuned.node));
    expect(Math.abs(byNode - byTorch)).toBeLessThan(TOLERANCE);
  });
});

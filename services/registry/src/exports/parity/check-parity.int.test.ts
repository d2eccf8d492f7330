import { beforeAll, describe, expect, it } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { huggingFaceToGguf, openGguf } from '@luthier/formats';
import { tempDir } from '@luthier/testing';
import { writeTinyChatModel } from '../../../../../test/fixtures/tiny-llama.js';
import { checkParity } from './check-parity.js';
import type { ParityInput } from './parity-input.js';

const LIMITS = { memoryMib: 4_096, timeoutMs: 240_000 };
let sourceDir = '';
let path = '';

beforeAll(async () => {
  const dir = await tempDir('parity');
  [sourceDir, path] = [join(dir, 'model'), join(dir, 'model.gguf')];
  await writeTinyChatModel(sourceDir);
  await huggingFaceToGguf({ modelDir: sourceDir, ggufPath: path });
});

const input = (ggufPath = path): ParityInput => ({
  sourceDir,
  adapterDir: null,
  exported: { kind: 'gguf', path: ggufPath },
});

describe('an export held against its source', () => {
  it('is the same, with figures', async () => {
    const found = await checkParity(input(), false, LIMITS);
    expect(found).toMatchObject({ status: 'same' });
    if (found.status === 'same') expect(found.positions).toBeGreaterThan(50);
  });

  it('is refused with the figures when one matrix of it is wrong', async () => {
    const bytes = await readFile(path);
    const { offset, sizeBytes } = (await openGguf(path)).get('blk.0.attn_q.weight');
    new Uint16Array(bytes.buffer, bytes.byteOffset + offset, sizeBytes / 2).reverse();
    const wrong = join(await tempDir('drifted'), 'model.gguf');
    await writeFile(wrong, bytes);
    await expect(checkParity(input(wrong), false, LIMITS)).rejects.toMatchObject({
      code: 'model.export-drifted',
      message: expect.stringMatching(/positions where the source is sure; its mean divergence is [\d.e-]+ nats/),
    });
  });

  it('is refused when llama.cpp cannot read it', async () => {
    const cut = join(await tempDir('cut'), 'model.gguf');
    await writeFile(cut, (await readFile(path)).subarray(0, 20_000));
    await expect(checkParity(input(cut), false, LIMITS)).rejects.toMatchObject({ code: 'model.unreadable' });
  });

  it('is called not checked, with the reason, where memory or time do not suffice', async () => {
    expect(await checkParity(input(), false, { ...LIMITS, memoryMib: 500 })).toEqual({
      status: 'not-checked',
      reason: expect.stringMatching(/^Comparing takes about \d+ MiB of memory; 500 MiB are allowed\.$/),
    });
    expect(await checkParity(input(), false, { ...LIMITS, timeoutMs: 1 })).toMatchObject({
      status: 'not-checked',
      reason: expect.stringContaining('longer than'),
    });
  });
});

import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensurePythonEnvironment } from '@luthier/local-servers';
import { removeHome, tempDir } from '@luthier/testing';
import { DEMO_ROWS, readAlpacaRows } from './support/alpaca-rows.js';
import { recordNode } from './support/node-record.js';

const number = (name: string, fallback: number): number => Number(process.env[name] ?? fallback);
const SIZE = { rows: number('LUTHIER_BENCH_ROWS', 32), repeats: number('LUTHIER_BENCH_REPEATS', 2) };
const LOCKS = {
  'runtime-torch': join(import.meta.dirname, '../../services/runtime-torch/requirements.lock'),
  'llama-factory': join(import.meta.dirname, 'peers/llama-factory.lock'),
};

const pythonOf = (name: keyof typeof LOCKS): Promise<string> =>
  ensurePythonEnvironment({ name, lockFile: LOCKS[name], log: console.log });

let root = '';
beforeAll(async () => {
  root = await tempDir('bench-node');
});
afterAll(() => removeHome(root));

it('trains the same rows with the TypeScript runtime, eager PyTorch and LLaMA-Factory, one after the other', async () => {
  const [torch, factory] = [await pythonOf('runtime-torch'), await pythonOf('llama-factory')];
  const rows = await readAlpacaRows(process.env['LUTHIER_BENCH_DATA'] ?? DEMO_ROWS);
  const record = await recordNode({ root, torch, factory, rows, size: SIZE });
  const text = `${JSON.stringify(record, null, 2)}\n`;
  process.stdout.write(text);
  const file = process.env['LUTHIER_BENCH_JSON'];
  if (file !== undefined) await writeFile(file, text);
  expect(record.lossDifference).toBeLessThan(1e-2);
}, 7_200_000);

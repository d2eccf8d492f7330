import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RandomStream } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import { mergePeftAdapter, openSafetensors, openSafetensorsModel, writeSafetensors } from '@luthier/formats';
import type { SafetensorsFile } from '@luthier/formats';
import { logitsAfter, openEngine } from '@luthier/lm';
import { removeHome, tempDir } from '@luthier/testing';
import { familyDir } from '../fixtures/families/family-fixture.js';
import { trainSpec, writeTinyData } from '../runtime-conformance/fixtures.js';
import { RuntimeProcess } from '../runtime-conformance/runtime-process.js';
import { describeWithTorch, python } from './torch-environment.js';

const node = [process.execPath, join(import.meta.dirname, '../../services/runtime-node/dist/main.js')];
const JUDGE = join(import.meta.dirname, 'peft_judge.py');
const TOLERANCE = 1e-4;
/** Ends only what hangs: it takes fifteen seconds of processor time. */
const LIMIT_MS = 240_000;
const VOCABULARY = 51;

/** One with biases of q, k and v and tied embeddings; one with biases everywhere; one with neither. */
const MODELS = ['qwen2', 'llama-biased', 'mistral'] as const;

/** The same adapter in the words of a run and in those of PEFT. */
const KINDS = {
  LoRA: [
    { r: 3, loraAlpha: 7, loraDropout: 0.1, targetModules: ['q_proj', 'v_proj', 'down_proj'] },
    { r: 3, lora_alpha: 7, lora_dropout: 0.1, target_modules: ['q_proj', 'v_proj', 'down_proj'] },
  ],
  rsLoRA: [
    { r: 4, loraAlpha: 6, useRslora: true },
    { r: 4, lora_alpha: 6, target_modules: 'all-linear', use_rslora: true },
  ],
  DoRA: [
    { r: 2, loraAlpha: 4, useDora: true },
    { r: 2, lora_alpha: 4, target_modules: 'all-linear', use_dora: true },
  ],
  'LoRA with embeddings and head': [
    { r: 3, loraAlpha: 7, modulesToSave: ['embed_tokens', 'lm_head'] },
    { r: 3, lora_alpha: 7, target_modules: 'all-linear', modules_to_save: ['embed_tokens', 'lm_head'] },
  ],
} as const;
const CASES = MODELS.flatMap((model) =>
  (Object.keys(KINDS) as (keyof typeof KINDS)[]).map((kind) => [kind, model] as const),
);

const ROWS = [17, 5, 1].map((length) =>
  Array.from(new RandomStream(3, `row of ${length}`).uniform(length), (u) => Math.floor(u * VOCABULARY)),
);

/** The model of a family with its weights in float32, so that merging rounds nothing that can be seen. */
async function writeInFloat32(from: string, to: string): Promise<void> {
  const model = await openSafetensorsModel(from);
  const tensors = [...model.tensors.values()].map(({ name, shape }) => ({
    name,
    dtype: 'F32' as const,
    shape,
    data: () => model.readFloat32(name).then((data) => [new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]),
  }));
  await mkdir(to, { recursive: true });
  await writeSafetensors(join(to, 'model.safetensors'), tensors, { format: 'pt' });
  await copyFile(join(from, 'config.json'), join(to, 'config.json'));
}

/** The engine's logits of every row. */
async function ourLogits(modelDir: string, adapterDir?: string): Promise<Float32Array[]> {
  const engine = await openEngine(adapterDir === undefined ? { modelDir } : { modelDir, adapterDir });
  const logits: Float32Array[] = [];
  for (const row of ROWS) logits.push(await logitsAfter(engine, row, adapterDir !== undefined));
  await engine.release();
  return logits;
}

/** The greatest difference of any two numbers in the same place. */
function distance(ours: readonly Float32Array[], theirs: readonly Float32Array[]): number {
  expect(ours.map(({ length }) => length)).toEqual(theirs.map(({ length }) => length));
  return Math.max(...ours.flatMap((row, i) => [...row].map((value, k) => Math.abs(value - (theirs[i]?.[k] ?? NaN)))));
}

describeWithTorch('adapters with plain transformers and PEFT as their judge', () => {
  let root = '';
  let judged: SafetensorsFile;
  const modelDir = (model: string): string => join(root, model);
  const adapterDir = (maker: 'node' | 'peft', kind: string, model: string): string =>
    join(root, `${maker}-${kind}-${model}`, 'adapter');

  const trainByNode = async (kind: keyof typeof KINDS, model: string): Promise<void> => {
    const plain = trainSpec({
      modelDir: modelDir(model),
      trainDir: join(root, 'train'),
      heldOutDir: join(root, 'held-out'),
      outputDir: join(adapterDir('node', kind, model), '..'),
    });
    const spec = { ...plain, tuning: { ...plain.tuning, ...KINDS[kind][0] } } as RuntimeSpec;
    const { code, log } = await (await RuntimeProcess.startSpec(node, spec)).ended;
    expect({ code, log }).toEqual({ code: 0, log: '' });
  };

  beforeAll(async () => {
    root = await tempDir('peft-judge');
    for (const model of MODELS) await writeInFloat32(familyDir(model), modelDir(model));
    await writeTinyData(join(root, 'train'), 20, 1, VOCABULARY);
    await writeTinyData(join(root, 'held-out'), 4, 2, VOCABULARY);
    for (const [kind, model] of CASES) await trainByNode(kind, model);
    const asked = (maker: 'node' | 'peft') =>
      CASES.map(([kind, model]) => ({
        name: `${maker}.${kind}.${model}`,
        model: modelDir(model),
        adapter: adapterDir(maker, kind, model),
        settings: KINDS[kind][1],
      }));
    const [work, out] = [join(root, 'work.json'), join(root, 'judged.safetensors')];
    await writeFile(work, JSON.stringify({ rows: ROWS, out, load: asked('node'), train: asked('peft') }));
    await promisify(execFile)(python ?? '', ['-B', JUDGE, work], { env: { ...process.env, OMP_NUM_THREADS: '1' } });
    judged = await openSafetensors(out);
  }, LIMIT_MS);
  afterAll(() => removeHome(root));

  const theirLogits = (name: string, what: 'base' | 'adapted' | 'merged'): Promise<Float32Array[]> =>
    Promise.all(ROWS.map((_, row) => judged.readFloat32(`${name}.${what}.${row}`)));

  const expectAlike = async (maker: 'node' | 'peft', kind: string, model: string): Promise<void> => {
    const name = `${maker}.${kind}.${model}`;
    const adapted = await theirLogits(name, 'adapted');
    expect(distance(await theirLogits(name, 'base'), adapted)).toBeGreaterThan(0.1);
    const adapter = adapterDir(maker, kind, model);
    expect(distance(await ourLogits(modelDir(model), adapter), adapted)).toBeLessThan(TOLERANCE);
    const outDir = join(adapter, '..', 'merged');
    await mergePeftAdapter({ modelDir: modelDir(model), adapterDir: adapter, outDir });
    expect(distance(await ourLogits(outDir), await theirLogits(name, 'merged'))).toBeLessThan(TOLERANCE);
  };

  it.each(CASES)(
    '%s of %s trained by runtime-node: PEFT loads it and gives the logits of our engine, merged as well',
    (kind, model) => expectAlike('node', kind, model),
  );

  it.each(CASES)(
    '%s of %s trained by PEFT: our engine loads it and gives the logits of PEFT, merged those of merge_and_unload()',
    (kind, model) => expectAlike('peft', kind, model),
  );
});

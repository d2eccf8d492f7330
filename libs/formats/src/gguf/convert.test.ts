import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TINY_CHAT, tinyShapes, writeTinyAdapter, writeTinyChatModel } from '../../../../test/fixtures/tiny-llama.js';
import { readModelConfig } from '../huggingface/model-config.js';
import { loraTensorName } from '../peft/lora-names.js';
import { openPeftAdapter } from '../peft/peft-adapter.js';
import { openSafetensorsModel } from '../safetensors/safetensors-model.js';
import { ggufToHuggingFace } from './gguf-to-hugging-face.js';
import { huggingFaceToGguf } from './hugging-face-to-gguf.js';
import { readChatTemplate } from './hugging-face-tokenizer.js';
import { peftToGguf } from './peft-to-gguf.js';
import { openGguf } from './read-gguf.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'convert-'));
});
afterAll(async () => rm(dir, { recursive: true, force: true }));

const json = async (path: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
/** Changes one of the JSON files of a model folder. */
async function edit(path: string, change: (value: Record<string, unknown>) => void): Promise<void> {
  const value = await json(path);
  change(value);
  await writeFile(path, JSON.stringify(value));
}

describe.each([
  ['tied', { tieWordEmbeddings: true }],
  ['untied', { tieWordEmbeddings: false }],
  ['with heads wider than the hidden size allows', { headDim: 32, tieWordEmbeddings: true }],
])('a model %s', (name, change) => {
  it('comes back from GGUF with the same weights, configuration, tokenizer and template', async () => {
    const [from, to] = [join(dir, name, 'from'), join(dir, name, 'to')];
    const config = await writeTinyChatModel(from, change);
    const ggufPath = join(dir, `${name}.gguf`);
    await huggingFaceToGguf({ modelDir: from, ggufPath, type: 'BF16' });
    await ggufToHuggingFace({ ggufPath, outDir: to });
    expect(await readModelConfig(to)).toEqual(config);
    const [before, after] = [await openSafetensorsModel(from), await openSafetensorsModel(to)];
    for (const [tensor, shape] of tinyShapes(config)) {
      expect(after.get(tensor).shape).toEqual(shape);
      expect(await after.readFloat32(tensor)).toEqual(await before.readFloat32(tensor));
    }
    expect((await openGguf(ggufPath)).tensors.has('output.weight')).toBe(!config.tieWordEmbeddings);
    const [mine, theirs] = [await json(join(from, 'tokenizer.json')), await json(join(to, 'tokenizer.json'))];
    const { vocab, merges } = theirs['model'] as { vocab: Record<string, number>; merges: string[] };
    expect(vocab).toMatchObject((mine['model'] as { vocab: Record<string, number> }).vocab);
    expect(merges).toEqual(['h e', 'l l']);
    expect(theirs['pre_tokenizer']).toEqual(mine['pre_tokenizer']);
    expect(theirs['added_tokens']).toEqual(mine['added_tokens']);
    expect(await readChatTemplate(to)).toBe(await readChatTemplate(from));
  });
});

describe('written as Q8_0', () => {
  it('every matrix comes back within half a step of its block, and vectors as they were', async () => {
    const [modelDir, outDir, ggufPath] = [join(dir, 'q8'), join(dir, 'q8-back'), join(dir, 'q8.gguf')];
    const config = await writeTinyChatModel(modelDir);
    await huggingFaceToGguf({ modelDir, ggufPath, type: 'Q8_0' });
    const [before, gguf] = [await openSafetensorsModel(modelDir), await openGguf(ggufPath)];
    expect(gguf.number('general.file_type')).toBe(7);
    expect(gguf.get('blk.0.ffn_up.weight').type).toBe('Q8_0');
    expect(gguf.get('blk.0.attn_norm.weight').type).toBe('F32');
    await ggufToHuggingFace({ ggufPath, outDir });
    const after = await openSafetensorsModel(outDir);
    for (const [name, shape] of tinyShapes(config)) {
      const [mine, theirs] = [await before.readFloat32(name), await after.readFloat32(name)];
      const spread = shape.length === 1 ? 0 : 0.25 / 127; // weights lie within 0.25; a BF16 rounding comes on top
      mine.forEach((value, i) => expect(Math.abs(value - (theirs[i] ?? NaN))).toBeLessThanOrEqual(spread));
    }
  });

  it('a matrix whose rows are no whole blocks is F16', async () => {
    const [modelDir, ggufPath] = [join(dir, 'odd'), join(dir, 'odd.gguf')];
    await writeTinyChatModel(modelDir, { intermediateSize: 80 });
    await huggingFaceToGguf({ modelDir, ggufPath, type: 'Q8_0' });
    const gguf = await openGguf(ggufPath);
    expect(gguf.get('blk.0.ffn_down.weight').type).toBe('F16');
    expect(gguf.get('blk.0.ffn_up.weight').type).toBe('Q8_0');
  });
});

describe('rows of queries and keys', () => {
  it('are stored as (head, i, half) in GGUF, all others as they are', async () => {
    const modelDir = join(dir, 'rows');
    await writeTinyChatModel(modelDir);
    const ggufPath = join(dir, 'rows.gguf');
    await huggingFaceToGguf({ modelDir, ggufPath, type: 'F32' });
    const [model, gguf] = [await openSafetensorsModel(modelDir), await openGguf(ggufPath)];
    const { headDim, hiddenSize: columns } = TINY_CHAT;
    for (const [module, tensor] of [
      ['q', 'attn_q'],
      ['k', 'attn_k'],
      ['v', 'attn_v'],
    ] as const) {
      const rows = await model.readFloat32(`model.layers.1.self_attn.${module}_proj.weight`);
      const stored = await gguf.readFloat32(`blk.1.${tensor}.weight`);
      for (let row = 0; row < rows.length / columns; row += 1) {
        const [head, within] = [Math.floor(row / headDim), row % headDim];
        const [half, i] = [Math.floor(within / (headDim / 2)), within % (headDim / 2)];
        const at = module === 'v' ? row : head * headDim + i * 2 + half;
        expect([...stored.subarray(at * columns, at * columns + 3)]).toEqual([
          ...rows.subarray(row * columns, row * columns + 3),
        ]);
      }
    }
  });
});

describe('an adapter', () => {
  it.each([
    [false, 8],
    [true, 16],
  ])(
    'is written with both halves of every module and the scale llama.cpp computes (rsLoRA %s)',
    async (useRslora, alpha) => {
      const [modelDir, adapterDir] = [join(dir, 'adapted'), join(dir, `adapter-${alpha}`)];
      const base = await writeTinyChatModel(modelDir);
      const lora = await writeTinyAdapter(adapterDir, base, { alpha: 8, useRslora });
      const ggufPath = join(dir, `adapter-${alpha}.gguf`);
      await peftToGguf({ adapterDir, modelDir, ggufPath });
      const [gguf, peft] = [await openGguf(ggufPath), await openPeftAdapter(adapterDir)];
      expect(gguf.tensors.size).toBe(base.layers * 7 * 2);
      expect(gguf.string('general.type')).toBe('adapter');
      // llama.cpp scales by this over the rank.
      expect(gguf.number('adapter.lora.alpha') / lora.rank).toBeCloseTo(useRslora ? 8 / Math.sqrt(4) : 8 / 4, 6);
      expect(await gguf.readFloat32('blk.0.attn_q.weight.lora_a')).toEqual(
        await peft.weights.readFloat32(loraTensorName(0, 'q_proj', 'A')),
      );
      expect(await gguf.readFloat32('blk.1.ffn_down.weight.lora_b')).toEqual(
        await peft.weights.readFloat32(loraTensorName(1, 'down_proj', 'B')),
      );
      const b = await peft.weights.readFloat32(loraTensorName(0, 'q_proj', 'B'));
      const stored = await gguf.readFloat32('blk.0.attn_q.weight.lora_b');
      const { rank } = lora;
      expect([...stored.subarray(rank, rank * 2)]).toEqual([
        ...b.subarray((base.headDim / 2) * rank, (base.headDim / 2 + 1) * rank), // second half, first row
      ]);
    },
  );

  it('is refused when it belongs to a model with more layers', async () => {
    const [modelDir, adapterDir] = [join(dir, 'short'), join(dir, 'long')];
    await writeTinyChatModel(modelDir, { layers: 1 });
    await writeTinyAdapter(adapterDir, { ...TINY_CHAT, layers: 2 });
    await expect(peftToGguf({ adapterDir, modelDir, ggufPath: join(dir, 'no.gguf') })).rejects.toMatchObject({
      name: 'FormatError',
    });
  });

  it('is refused when its shapes are not those of the model', async () => {
    const [modelDir, adapterDir] = [join(dir, 'narrow'), join(dir, 'wide')];
    await writeTinyChatModel(modelDir);
    await writeTinyAdapter(adapterDir, { ...TINY_CHAT, hiddenSize: 128 });
    await expect(peftToGguf({ adapterDir, modelDir, ggufPath: join(dir, 'wide.gguf') })).rejects.toMatchObject({
      name: 'FormatError',
    });
  });
});

describe('what GGUF would compute differently is refused, and nothing is left behind', () => {
  it.each([
    [
      'a pre-tokenizer that was never compared',
      (t: Record<string, unknown>) => void (t['pre_tokenizer'] = { type: 'Metaspace' }),
    ],
    [
      'a prefix space',
      (t: Record<string, unknown>) => void (t['pre_tokenizer'] = { type: 'ByteLevel', add_prefix_space: true }),
    ],
    ['a normalizer', (t: Record<string, unknown>) => void (t['normalizer'] = { type: 'NFC' })],
    ['another kind of tokenizer', (t: Record<string, unknown>) => void (t['model'] = { type: 'Unigram', vocab: [] })],
    [
      'a token beyond the vocabulary',
      (t: Record<string, unknown>) => void (t['added_tokens'] = [{ id: 4_000, content: '<x>', special: true }]),
    ],
  ])('%s', async (_what, change) => {
    const modelDir = await mkdtemp(join(dir, 'refused-'));
    await writeTinyChatModel(modelDir);
    await edit(join(modelDir, 'tokenizer.json'), change);
    const outDir = await mkdtemp(join(dir, 'out-'));
    await expect(huggingFaceToGguf({ modelDir, ggufPath: join(outDir, 'm.gguf') })).rejects.toMatchObject({
      name: 'FormatError',
    });
    expect(await readdir(outDir)).toEqual([]);
  });

  it('a weight of another shape than the configuration says', async () => {
    const modelDir = join(dir, 'other-shape');
    await writeTinyChatModel(modelDir);
    await edit(join(modelDir, 'config.json'), (config) => void (config['intermediate_size'] = 80));
    await expect(huggingFaceToGguf({ modelDir, ggufPath: join(dir, 'shape.gguf') })).rejects.toMatchObject({
      name: 'FormatError',
    });
  });
});

import { describe, expect, it } from '@jest/globals';
import { RandomStream } from '@luthier/contracts';
import { LLAMA_BLOCKS } from '@luthier/formats';
import type { ModelConfig } from '@luthier/formats';
import { OnnxExecutor } from '../executor/onnx/onnx-executor.js';
import { EMBEDDING, FINAL_NORM, LINEAR_MODULES, headWeight, layerPrefix, modelWeights } from './model-weights.js';
import { TrainingEngine } from './training-engine.js';
import type { MemoryMode, Weights } from './training-engine.js';
import { LoraAdapter } from './lora.js';
import { microBatches, packRows } from './packed-batch.js';
import type { TrainingRow } from './packed-batch.js';

const config = (tieWordEmbeddings: boolean): ModelConfig => ({
  ...LLAMA_BLOCKS,
  architecture: 'LlamaForCausalLM',
  modelType: 'llama',
  vocabSize: 40,
  hiddenSize: 24,
  intermediateSize: 32,
  layers: 2,
  attentionHeads: 6,
  keyValueHeads: 2,
  headDim: 4,
  maxPositionEmbeddings: 64,
  rmsNormEps: 1e-5,
  ropeTheta: 1000,
  tieWordEmbeddings,
  eosTokenIds: [],
});

function randomWeights(of: ModelConfig): Weights {
  return new Map(
    [...modelWeights(of)].map(([name, dims]) => {
      const uniform = new RandomStream(5, name).uniform(dims.reduce((a, b) => a * b, 1));
      return [name, { data: uniform.map((u) => (dims.length === 1 ? 0.8 + 0.4 * u : (u - 0.5) * 0.6)), dims }];
    }),
  );
}

function randomAdapter(of: ModelConfig): LoraAdapter {
  const adapter = LoraAdapter.create(
    of,
    { r: 3, loraAlpha: 5, loraDropout: 0, targetModules: 'all-linear', useRslora: false },
    9,
  );
  const noise = new RandomStream(6, 'adapter').uniform(adapter.values.length);
  adapter.values.forEach((value, i) => (adapter.values[i] = value + ((noise[i] ?? 0) - 0.5) * 0.4));
  return adapter;
}

function row(seed: number, length: number): TrainingRow {
  const random = new RandomStream(seed, 'row');
  return {
    tokens: Int32Array.from({ length }, (_, i) => random.pair(i)[0] % 40),
    trained: Uint8Array.from({ length }, (_, i) => ((i > 0 && random.pair(i)[1] % 3 > 0) || i === length - 1 ? 1 : 0)),
  };
}
const ROWS = [row(1, 7), row(2, 12), row(3, 2)];

/**
 * A second implementation that shares nothing with the first: plain loops in double precision, one row and one
 * position at a time. Returns the summed loss of the trained tokens.
 */
function referenceLoss(
  of: ModelConfig,
  weights: Weights,
  adapter: LoraAdapter,
  { tokens, trained }: TrainingRow,
): number {
  const w = (name: string): Float32Array => weights.get(name)?.data as Float32Array;
  const times = (matrix: Float32Array, x: number[]): number[] =>
    Array.from({ length: matrix.length / x.length }, (_, o) =>
      x.reduce((sum, value, i) => sum + value * (matrix[o * x.length + i] ?? 0), 0),
    );
  const lora = (name: string): Float32Array => {
    const tensor = adapter.tensors.find((candidate) => candidate.name === name);
    if (!tensor) throw new Error(name);
    return adapter.view(adapter.values, tensor);
  };
  const linear = (layer: number, module: (typeof LINEAR_MODULES)[number], x: number[]): number[] => {
    const name = `base_model.model.${layerPrefix(layer)}${module}`;
    const low = times(lora(`${name}.lora_B.weight`), times(lora(`${name}.lora_A.weight`), x));
    return times(w(`${layerPrefix(layer)}${module}.weight`), x).map((value, i) => value + (5 / 3) * (low[i] ?? 0));
  };
  const norm = (x: number[], weight: Float32Array): number[] => {
    const r = 1 / Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length + of.rmsNormEps);
    return x.map((v, i) => v * r * (weight[i] ?? 0));
  };
  const plus = (a: number[], b: number[]): number[] => a.map((v, i) => v + (b[i] ?? 0));
  const { headDim, attentionHeads, keyValueHeads } = of;
  const rotate = (x: number[], position: number): number[] =>
    x.map((value, i) => {
      const within = i % headDim;
      const angle = position / of.ropeTheta ** ((within % (headDim / 2)) / (headDim / 2));
      const partner = within < headDim / 2 ? -(x[i + headDim / 2] ?? 0) : (x[i - headDim / 2] ?? 0);
      return value * Math.cos(angle) + partner * Math.sin(angle);
    });
  let states = Array.from(tokens, (token) =>
    Array.from(w(EMBEDDING).subarray(token * of.hiddenSize, (token + 1) * of.hiddenSize)),
  );
  for (let layer = 0; layer < of.layers; layer += 1) {
    const inputs = states.map((x) => norm(x, w(`${layerPrefix(layer)}input_layernorm.weight`)));
    const keys = inputs.map((x, t) => rotate(linear(layer, 'self_attn.k_proj', x), t));
    const values = inputs.map((x) => linear(layer, 'self_attn.v_proj', x));
    states = states.map((x, t) => {
      const query = rotate(linear(layer, 'self_attn.q_proj', inputs[t] ?? []), t);
      const mixed = Array.from({ length: attentionHeads }, (_, head) => {
        const shared = Math.floor(head / (attentionHeads / keyValueHeads)) * headDim;
        const scores = keys.slice(0, t + 1).map((key) => {
          let dot = 0;
          for (let d = 0; d < headDim; d += 1) dot += (query[head * headDim + d] ?? 0) * (key[shared + d] ?? 0);
          return Math.exp(dot / Math.sqrt(headDim));
        });
        const total = scores.reduce((a, b) => a + b, 0);
        return Array.from({ length: headDim }, (_unused, d) =>
          scores.reduce((sum, s, u) => sum + (s / total) * (values[u]?.[shared + d] ?? 0), 0),
        );
      }).flat();
      const attended = plus(x, linear(layer, 'self_attn.o_proj', mixed));
      const h = norm(attended, w(`${layerPrefix(layer)}post_attention_layernorm.weight`));
      const up = linear(layer, 'mlp.up_proj', h);
      const gated = linear(layer, 'mlp.gate_proj', h).map((g, i) => (g / (1 + Math.exp(-g))) * (up[i] ?? 0));
      return plus(attended, linear(layer, 'mlp.down_proj', gated));
    });
  }
  let loss = 0;
  for (let t = 1; t < tokens.length; t += 1) {
    if (trained[t] !== 1) continue;
    const logits = times(w(headWeight(of)), norm(states[t - 1] ?? [], w(FINAL_NORM)));
    loss += Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)) - (logits[tokens[t] ?? 0] ?? 0);
  }
  return loss;
}

const engineOf = (of: ModelConfig, adapter: LoraAdapter, memoryMode: MemoryMode): TrainingEngine =>
  new TrainingEngine({
    config: of,
    weights: randomWeights(of),
    adapter,
    memoryMode,
    executor: new OnnxExecutor({ threads: 1 }),
  });

describe.each([['whole-step'], ['layer-recompute']] as const)('the engine in %s mode', (memoryMode) => {
  it.each([[true], [false]])(
    'agrees with a plain double-precision implementation (tied embeddings: %s)',
    async (tied) => {
      const of = config(tied);
      const adapter = randomAdapter(of);
      const engine = engineOf(of, adapter, memoryMode);
      const gradients = new Float32Array(adapter.values.length);
      const loss = await engine.accumulate(packRows(ROWS), gradients);
      const reference = (): number =>
        ROWS.reduce((sum, item) => sum + referenceLoss(of, randomWeights(of), adapter, item), 0);
      expect(Math.abs(loss - reference()) / loss).toBeLessThan(1e-5);

      // Gradients: along random directions, against central differences of the other implementation.
      for (const seed of [1, 2, 3]) {
        const direction = new RandomStream(seed, 'direction').uniform(gradients.length).map((u) => u - 0.5);
        const start = adapter.values.slice();
        const at = (step: number): number => {
          start.forEach((value, i) => (adapter.values[i] = value + step * (direction[i] ?? 0)));
          return reference();
        };
        const h = 1e-3;
        const numeric = (at(h) - at(-h)) / (2 * h);
        adapter.values.set(start);
        const exact = gradients.reduce((sum, value, i) => sum + value * (direction[i] ?? 0), 0);
        expect(Math.abs(exact - numeric)).toBeLessThan(2e-3 * Math.max(1, Math.abs(numeric)));
      }
      await engine.release();
    },
  );

  it('gives packed rows the losses and gradients that they have alone', async () => {
    const of = config(true);
    const adapter = randomAdapter(of);
    const engine = engineOf(of, adapter, memoryMode);
    const [packed, alone] = [new Float32Array(adapter.values.length), new Float32Array(adapter.values.length)];
    const together = await engine.accumulate(packRows(ROWS), packed);
    let sum = 0;
    for (const item of ROWS) sum += await engine.accumulate(packRows([item]), alone);
    expect(Math.abs(together - sum)).toBeLessThan(1e-4);
    const distance = Math.max(...packed.map((value, i) => Math.abs(value - (alone[i] ?? 0))));
    expect(distance).toBeLessThan(1e-5 * Math.max(1, ...packed.map(Math.abs)));
    await engine.release();
  });

  it('takes more tokens than the longest row has positions', async () => {
    const of = config(true);
    const engine = engineOf(of, randomAdapter(of), memoryMode);
    const rows = Array.from({ length: 100 }, (_, i) => row(i, 6));
    const loss = await engine.accumulate(packRows(rows), new Float32Array(randomAdapter(of).values.length));
    const alone = await engine.accumulate(
      packRows(rows.slice(0, 50)),
      new Float32Array(randomAdapter(of).values.length),
    );
    expect(loss).toBeGreaterThan(alone);
    await engine.release();
  });

  it('scores like it trains, and the base alone when the adapter is off', async () => {
    const of = config(true);
    const adapter = randomAdapter(of);
    const engine = engineOf(of, adapter, memoryMode);
    const batch = packRows(ROWS);
    const loss = await engine.accumulate(batch, new Float32Array(adapter.values.length));
    const total = (losses: Float32Array): number => losses.reduce((a, b) => a + b, 0);
    expect(total((await engine.score(batch, true)).losses)).toBeCloseTo(loss, 3);
    const base = (await engine.score(batch, false)).losses;
    adapter.values.fill(0);
    expect([...base]).toEqual([...(await engine.score(batch, true)).losses]);
    await engine.release();
  });
});

describe('micro-batches', () => {
  it('hold every row once, within the budget unless a row alone is longer', () => {
    const rows = [5, 30, 7, 100, 12, 9].map((length, i) => row(i, length));
    const batches = microBatches(rows, 40);
    expect(new Set(batches.flat())).toEqual(new Set(rows));
    for (const batch of batches) {
      const tokens = batch.reduce((sum, item) => sum + item.tokens.length, 0);
      expect(tokens <= 40 || batch.length === 1).toBe(true);
    }
  });

  it('refuse a batch in which nothing is trained', () => {
    expect(() => packRows([{ tokens: Int32Array.of(1, 2), trained: Uint8Array.of(1, 0) }])).toThrow(RangeError);
  });
});

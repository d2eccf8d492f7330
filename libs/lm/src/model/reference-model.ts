import type { ModelConfig } from '@luthier/formats';
import type { TensorData } from '../executor/executor.js';
import { LINEAR_MODULES, EMBEDDING, FINAL_NORM, headWeight, layerPrefix, linearShape } from './model-weights.js';
import type { LinearModule } from './model-weights.js';
import type { LoraAdapter } from './lora.js';
import type { TrainingRow } from './packed-batch.js';
import { viewOf } from './trained-parameters.js';

type Weights = ReadonlyMap<string, TensorData>;

/**
 * A second implementation that shares nothing with the first: plain loops in double precision, one row and one
 * position at a time. Returns the summed loss of the trained tokens.
 */
export function referenceLoss(
  of: ModelConfig,
  weights: Weights,
  adapter: LoraAdapter | undefined,
  { tokens, trained }: TrainingRow,
  /** Of DoRA: the norms of the tuned weights' rows, through which no gradient flows. */
  norms: ReadonlyMap<string, readonly number[]> = new Map(),
  { tokenWeights, labelSmoothing = 0 }: { tokenWeights?: readonly number[]; labelSmoothing?: number } = {},
): number {
  const w = (name: string): Float32Array => weights.get(name)?.data as Float32Array;
  const times = (matrix: Float32Array, x: number[]): number[] =>
    Array.from({ length: matrix.length / x.length }, (_, o) =>
      x.reduce((sum, value, i) => sum + value * (matrix[o * x.length + i] ?? 0), 0),
    );
  const lora = (name: string): Float32Array => {
    const tensor = adapter?.tensors.find((candidate) => candidate.name === name);
    if (!tensor || !adapter) throw new Error(name);
    return viewOf(adapter.values, tensor);
  };
  /** Embeddings or output weights: of the adapter where it has them. */
  const outer = (name: string): Float32Array => {
    const whole = adapter?.tensors.some((tensor) => tensor.name === `base_model.model.${name}`);
    return whole ? lora(`base_model.model.${name}`) : w(name);
  };
  const linear = (layer: number, module: LinearModule, x: number[]): number[] => {
    const base = times(w(`${layerPrefix(layer)}${module}.weight`), x);
    if (!adapter) return base;
    const name = `base_model.model.${layerPrefix(layer)}${module}`;
    const low = times(lora(`${name}.lora_B.weight`), times(lora(`${name}.lora_A.weight`), x));
    const tuned = base.map((value, i) => value + (5 / 3) * (low[i] ?? 0));
    const found = norms.get(name);
    if (!found) return tuned;
    const magnitudes = lora(`${name}.lora_magnitude_vector`);
    return tuned.map((value, i) => (value * (magnitudes[i] ?? 0)) / (found[i] ?? 1));
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
    Array.from(outer(EMBEDDING).subarray(token * of.hiddenSize, (token + 1) * of.hiddenSize)),
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
  let token = 0;
  for (let t = 1; t < tokens.length; t += 1) {
    if (trained[t] !== 1) continue;
    const logits = times(outer(headWeight(of)), norm(states[t - 1] ?? [], w(FINAL_NORM)));
    const normaliser = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
    const mean = logits.reduce((sum, logit) => sum + normaliser - logit, 0) / logits.length;
    const own = (1 - labelSmoothing) * (normaliser - (logits[tokens[t] ?? 0] ?? 0)) + labelSmoothing * mean;
    loss += own * (tokenWeights?.[token] ?? 1);
    token += 1;
  }
  return loss;
}

/** Norms of the rows of W + 5/3 B A, each written out, by the stored name of the module. */
export function tunedNorms(of: ModelConfig, weights: Weights, adapter: LoraAdapter): Map<string, readonly number[]> {
  const norms = new Map<string, readonly number[]>();
  const stored = (name: string): Float32Array => {
    const tensor = adapter.tensors.find((candidate) => candidate.name === name);
    if (!tensor) throw new Error(name);
    return viewOf(adapter.values, tensor);
  };
  for (let layer = 0; layer < of.layers; layer += 1) {
    for (const module of LINEAR_MODULES) {
      const name = `base_model.model.${layerPrefix(layer)}${module}`;
      const [a, b] = [stored(`${name}.lora_A.weight`), stored(`${name}.lora_B.weight`)];
      const weight = weights.get(`${layerPrefix(layer)}${module}.weight`)?.data as Float32Array;
      const [out, inner] = linearShape(of, module);
      const rank = adapter.settings.r;
      const rows = Array.from({ length: out }, (_, i) => {
        let sum = 0;
        for (let k = 0; k < inner; k += 1) {
          let low = 0;
          for (let j = 0; j < rank; j += 1) low += (b[i * rank + j] ?? 0) * (a[j * inner + k] ?? 0);
          sum += ((weight[i * inner + k] ?? 0) + (5 / 3) * low) ** 2;
        }
        return Math.sqrt(sum);
      });
      norms.set(name, rows);
    }
  }
  return norms;
}

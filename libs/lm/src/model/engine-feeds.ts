import type { ModelConfig } from '@luthier/formats';
import type { TensorData } from '../executor/executor.js';
import { embeddingScale } from './blocks.js';
import { rowSquares } from './dora.js';
import { LoraAdapter } from './lora.js';
import {
  EMBEDDING,
  FINAL_NORM,
  LINEAR_MODULES,
  headWeight,
  layerPrefix,
  layerWeights,
  linearShape,
} from './model-weights.js';
import type { PackedBatch } from './packed-batch.js';
import { PositionFeeds } from './position-feeds.js';
import { scalesOf } from './quantise.js';
import { viewOf } from './trained-parameters.js';
import type { TrainedParameters, TrainedTensor } from './trained-parameters.js';

/**
 * Weights in float32 by their Hugging Face names, shared by all graphs. Those of linear layers may be 8-bit integers, with
 * the scales of their rows beside them.
 */
export type Weights = ReadonlyMap<string, TensorData>;

/** Dropout masks by `<layer prefix><module>`; each has N * in elements, already divided by the kept share. */
export type DropoutMasks = (name: string, count: number) => Float32Array;

export type Feeds = Record<string, TensorData>;

export const scalar = (value: number): TensorData => ({ data: Float32Array.of(value), dims: [] });

/** What a run of tensors that lie one after the other begins with and how long it is. */
export interface TensorGroup {
  readonly tensors: readonly TrainedTensor[];
  readonly start: number;
  readonly count: number;
}

function groupOf(tensors: readonly TrainedTensor[]): TensorGroup {
  const start = tensors[0]?.offset ?? 0;
  const count = tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  return { tensors, start, count };
}

/** What the graphs are fed from the model, what is trained of it, and a batch. */
export class EngineFeeds {
  readonly layers: readonly TensorGroup[];
  /** Those that belong to no layer. */
  readonly outer: TensorGroup;
  private readonly layerNames: readonly string[];
  /** Of DoRA: squared norms of the weights' rows, and the norms, which as magnitudes leave the weights as they are. */
  private readonly norms = new Map<string, { readonly squares: TensorData; readonly norms: TensorData }>();
  private readonly positions: PositionFeeds;

  constructor(
    private readonly config: ModelConfig,
    private readonly weights: Weights,
    private readonly parameters: TrainedParameters,
  ) {
    this.positions = new PositionFeeds(config);
    this.layerNames = [...layerWeights(config).keys()].flatMap((name) =>
      weights.has(scalesOf(layerPrefix(0) + name)) ? [name, scalesOf(name)] : [name],
    );
    const { tensors } = parameters;
    const isOf = (layer: number) => (tensor: TrainedTensor) => tensor.name.startsWith(this.storedPrefix(layer));
    this.layers = Array.from({ length: config.layers }, (_, layer) => groupOf(tensors.filter(isOf(layer))));
    const inLayers = new Set(this.layers.flatMap((group) => group.tensors));
    this.outer = groupOf(tensors.filter((tensor) => !inLayers.has(tensor)));
    if (this.adapter?.settings.useDora) this.measureNorms(this.adapter);
  }

  /** Whether the weights of linear layers are 8-bit integers with scales beside them. */
  get quantised(): boolean {
    return this.layerNames.some((name) => name === scalesOf(`${LINEAR_MODULES[0]}.weight`));
  }

  get adapter(): LoraAdapter | undefined {
    return this.parameters instanceof LoraAdapter ? this.parameters : undefined;
  }

  /** Of the whole model with what is trained, under the names of the whole graph. */
  whole(batch: PackedBatch, dropout: DropoutMasks | undefined): Feeds {
    const feeds: Feeds = {
      ...Object.fromEntries(this.weights),
      ...this.positions.whole(batch),
      loraScale: this.loraScale(true),
      ...this.head(batch, true),
      ...this.outerFeeds(true, [EMBEDDING]),
      tokens: { data: batch.tokens, dims: [batch.tokens.length] },
    };
    for (let layer = 0; layer < this.config.layers; layer += 1) {
      this.addAdapter(feeds, layer, layerPrefix(layer), this.storedPrefix(layer), true);
      if (dropout) this.addDropout(feeds, batch, layer, layerPrefix(layer), dropout);
    }
    return feeds;
  }

  /** Of one layer, under the names within it. */
  layer(layer: number, batch: PackedBatch, useAdapter: boolean, dropout?: DropoutMasks): Feeds {
    const feeds: Feeds = { ...this.positions.layer(layer, batch), loraScale: this.loraScale(useAdapter) };
    for (const name of this.layerNames) {
      const weight = this.weights.get(layerPrefix(layer) + name);
      if (weight) feeds[name] = weight;
    }
    this.addAdapter(feeds, layer, '', '', useAdapter);
    if (dropout) this.addDropout(feeds, batch, layer, '', dropout);
    return feeds;
  }

  head(batch: PackedBatch, useAdapter: boolean): Feeds {
    return {
      rows: { data: batch.predictors, dims: [batch.predictors.length] },
      labels: { data: batch.labels, dims: [batch.labels.length, 1] },
      ...this.outerFeeds(useAdapter, [FINAL_NORM, headWeight(this.config)]),
    };
  }

  /** Where the gradients of a group are written: into `scratch`, from its beginning. */
  gradientsOf(group: TensorGroup, scratch: Float32Array, namePrefix: string): Feeds {
    return Object.fromEntries(
      group.tensors.map((tensor) => {
        const data = viewOf(scratch, { ...tensor, offset: tensor.offset - group.start });
        const name = this.outerNameOf(tensor) ?? tensor.name.slice(namePrefix.length);
        return [`grad:${name}`, { data, dims: tensor.shape }];
      }),
    );
  }

  /** The model's name of a tensor that belongs to no layer, which is the graphs' name of it. */
  outerNameOf(tensor: TrainedTensor): string | undefined {
    return this.outer.tensors.includes(tensor) ? tensor.name.slice(this.parameters.storedPrefix.length) : undefined;
  }

  storedPrefix(layer: number): string {
    return `${this.parameters.storedPrefix}${layerPrefix(layer)}`;
  }

  /** Embeddings [N, H] of the tokens. */
  embed(tokens: BigInt64Array, useAdapter: boolean): TensorData {
    const table = this.outerFeeds(useAdapter, [EMBEDDING])[EMBEDDING]?.data as Float32Array;
    const width = this.config.hiddenSize;
    const data = new Float32Array(tokens.length * width);
    tokens.forEach((token, i) => {
      const start = Number(token) * width;
      data.set(table.subarray(start, start + width), i * width);
    });
    const factor = embeddingScale(this.config);
    if (factor !== 1) data.forEach((value, i) => (data[i] = value * factor));
    return { data, dims: [tokens.length, width] };
  }

  /** Weights of no layer: those that are trained beside them, or the model's own. */
  private outerFeeds(useTrained: boolean, names: readonly string[]): Feeds {
    const feeds: Feeds = {};
    for (const name of names) {
      const tensor = useTrained ? this.outer.tensors.find((one) => this.outerNameOf(one) === name) : undefined;
      const found = tensor
        ? { data: viewOf(this.parameters.values, tensor), dims: tensor.shape }
        : this.weights.get(name);
      if (found) feeds[name] = found;
    }
    return feeds;
  }

  private addAdapter(feeds: Feeds, layer: number, prefix: string, adapterPrefix: string, useAdapter: boolean): void {
    const { adapter } = this;
    if (!adapter) return;
    const start = this.storedPrefix(layer).length;
    for (const tensor of this.layers[layer]?.tensors ?? [])
      feeds[adapterPrefix + tensor.name.slice(start)] = { data: viewOf(adapter.values, tensor), dims: tensor.shape };
    for (const module of adapter.settings.useDora ? adapter.modules : []) {
      const found = this.norms.get(layerPrefix(layer) + module);
      if (!found) continue;
      feeds[`${prefix}${module}.weight_squares`] = found.squares;
      if (!useAdapter) feeds[`${adapterPrefix}${module}.lora_magnitude_vector`] = found.norms;
    }
  }

  private addDropout(feeds: Feeds, batch: PackedBatch, layer: number, prefix: string, dropout: DropoutMasks): void {
    const rows = batch.tokens.length;
    for (const module of this.adapter?.modules ?? []) {
      const inner = linearShape(this.config, module)[1];
      const data = dropout(`${layerPrefix(layer)}${module}`, rows * inner);
      feeds[`${prefix}${module}.dropout`] = { data, dims: [rows, inner] };
    }
  }

  private measureNorms({ modules }: LoraAdapter): void {
    for (let layer = 0; layer < this.config.layers; layer += 1) {
      for (const module of modules) {
        const squares = rowSquares(this.weights, `${layerPrefix(layer)}${module}.weight`);
        const dims = [squares.length];
        const norms = { data: squares.map(Math.sqrt), dims };
        this.norms.set(layerPrefix(layer) + module, { squares: { data: squares, dims }, norms });
      }
    }
  }

  /** Without the adapter its product counts nothing. */
  private loraScale(useAdapter: boolean): TensorData {
    return scalar(useAdapter ? (this.adapter?.scale ?? 0) : 0);
  }
}

import type { ModelConfig } from '@luthier/formats';
import type { Executor, Program, TensorData } from '../executor/executor.js';
import { EMBEDDING, FINAL_NORM, headWeight, layerPrefix, layerWeights, modelWeights } from './model-weights.js';
import * as graphs from './graphs.js';
import type { LoraAdapter } from './lora.js';
import { packRows } from './packed-batch.js';
import type { PackedBatch } from './packed-batch.js';
import { embeddingScale } from './blocks.js';
import { PositionFeeds } from './position-feeds.js';

/**
 * `whole-step`: one graph for forward and backward, fastest; all layers' activations are alive at once.
 * `layer-recompute`: one layer at a time, recomputed on the way back; only layer borders are kept.
 */
export type MemoryMode = 'whole-step' | 'layer-recompute';

/** Weights in float32 by their Hugging Face names, shared by all graphs. */
export type Weights = ReadonlyMap<string, TensorData>;

export interface EngineOptions {
  readonly config: ModelConfig;
  readonly weights: Weights;
  readonly adapter: LoraAdapter;
  readonly memoryMode: MemoryMode;
  readonly executor: Executor;
}

export interface BatchScore {
  /** Negative log-likelihood of every trained token, in packed order. */
  readonly losses: Float32Array;
  /** Trained tokens that were also the most likely ones. */
  readonly correct: number;
}

/** Dropout masks by `<layer prefix><module>`; each has N * in elements, already divided by the kept share. */
export type DropoutMasks = (name: string, count: number) => Float32Array;

type Feeds = Record<string, TensorData>;

const scalar = (value: number): TensorData => ({ data: Float32Array.of(value), dims: [] });

/** Computes losses, gradients and scores of one model with a LoRA adapter. Used by one caller at a time. */
export class TrainingEngine {
  private readonly programs = new Map<string, Promise<Program>>();
  private readonly layerNames: readonly string[];
  private readonly scratch: Float32Array;
  private readonly positions: PositionFeeds;

  constructor(private readonly options: EngineOptions) {
    for (const [name, shape] of modelWeights(options.config)) {
      const found = options.weights.get(name);
      if (!found || found.dims.join() !== shape.join()) {
        throw new RangeError(
          `The weight "${name}" should have shape [${shape.join(', ')}], not [${found?.dims.join(', ') ?? 'missing'}].`,
        );
      }
    }
    this.positions = new PositionFeeds(options.config);
    this.layerNames = [...layerWeights(options.config).keys()];
    this.scratch = new Float32Array(options.adapter.values.length);
  }

  get memoryMode(): MemoryMode {
    return this.options.memoryMode;
  }

  /** Loads the graphs of training, so that the first step is not slower than the rest. */
  async warmUp(): Promise<void> {
    if (this.memoryMode === 'whole-step') await this.program('whole');
    else await Promise.all([this.program('forward'), this.program('backward'), this.program('headGradient')]);
  }

  /** Adds the gradient of the summed loss of `batch` to `gradients` (laid out as the adapter); returns that loss. */
  async accumulate(batch: PackedBatch, gradients: Float32Array, dropout?: DropoutMasks): Promise<number> {
    const loss =
      this.memoryMode === 'whole-step' ? await this.wholeStep(batch, dropout) : await this.layerByLayer(batch, dropout);
    for (let i = 0; i < gradients.length; i += 1) gradients[i] = (gradients[i] ?? 0) + (this.scratch[i] ?? 0);
    return loss;
  }

  /** Scores a batch with the adapter, or with the base alone. */
  async score(batch: PackedBatch, useAdapter: boolean): Promise<BatchScore> {
    const shared = this.sharedFeeds(batch, useAdapter);
    let x = this.embed(batch.tokens);
    for (let layer = 0; layer < this.options.config.layers; layer += 1)
      x = await this.layerForward('score', layer, x, batch, shared);
    const program = await this.program('headScore');
    const found = await program.run({ ...this.headFeeds(batch), x });
    const best = found.get('best')?.data as BigInt64Array;
    let correct = 0;
    for (let i = 0; i < best.length; i += 1) if (best[i] === batch.labels[i]) correct += 1;
    return { losses: found.get('losses')?.data as Float32Array, correct };
  }

  /** Logits [S, V] that predict the trained tokens, in packed order. For checking, not for serving. */
  async logits(batch: PackedBatch, useAdapter: boolean): Promise<Float32Array> {
    const shared = this.sharedFeeds(batch, useAdapter);
    let x = this.embed(batch.tokens);
    for (let layer = 0; layer < this.options.config.layers; layer += 1)
      x = await this.layerForward('score', layer, x, batch, shared);
    const found = await (await this.program('headLogits')).run({ ...this.headFeeds(batch), x });
    return found.get('logits')?.data as Float32Array;
  }

  /** The most likely next token after `tokens`. Computes the whole prefix: for checking, not for serving. */
  async nextToken(tokens: readonly number[], useAdapter: boolean): Promise<number> {
    const length = tokens.length;
    // A dummy last token makes the true last one a predictor.
    const trained = new Uint8Array(length + 1);
    trained[length] = 1;
    const batch = packRows([{ tokens: Int32Array.from([...tokens, 0]), trained }]);
    const shared = this.sharedFeeds(batch, useAdapter);
    let x = this.embed(batch.tokens);
    for (let layer = 0; layer < this.options.config.layers; layer += 1)
      x = await this.layerForward('score', layer, x, batch, shared);
    const found = await (await this.program('headScore')).run({ ...this.headFeeds(batch), x });
    return Number(found.get('best')?.data[0] ?? 0);
  }

  async release(): Promise<void> {
    for (const program of this.programs.values()) await (await program).release();
    this.programs.clear();
  }

  private async wholeStep(batch: PackedBatch, dropout: DropoutMasks | undefined): Promise<number> {
    const { adapter, config, weights } = this.options;
    const feeds: Feeds = {
      ...Object.fromEntries(weights),
      ...this.sharedFeeds(batch, true),
      ...this.headFeeds(batch),
      tokens: { data: batch.tokens, dims: [batch.tokens.length] },
    };
    const results: Feeds = {};
    for (const tensor of adapter.tensors) {
      feeds[tensor.name] = { data: adapter.view(adapter.values, tensor), dims: tensor.shape };
      results[`grad:${tensor.name}`] = { data: adapter.view(this.scratch, tensor), dims: tensor.shape };
    }
    if (dropout)
      for (let layer = 0; layer < config.layers; layer += 1)
        this.addDropout(feeds, batch, layer, layerPrefix(layer), dropout);
    const found = await (await this.program('whole')).run(feeds, results);
    return Number(found.get('loss')?.data[0]);
  }

  private async layerByLayer(batch: PackedBatch, dropout: DropoutMasks | undefined): Promise<number> {
    const { layers } = this.options.config;
    const shared = this.sharedFeeds(batch, true);
    const borders: TensorData[] = [this.embed(batch.tokens)];
    for (let layer = 0; layer < layers; layer += 1) {
      const x = borders[layer];
      if (x) borders.push(await this.layerForward('forward', layer, x, batch, shared, dropout));
    }
    const head = await (
      await this.program('headGradient')
    ).run({ ...this.headFeeds(batch), x: borders.pop() ?? scalar(0) });
    let gy = head.get('gx');
    const backward = await this.program('backward');
    for (let layer = layers - 1; layer >= 0; layer -= 1) {
      const feeds: Feeds = {
        ...shared,
        ...this.positions.layer(layer, batch),
        ...this.layerFeeds(layer),
        x: borders.pop() ?? scalar(0),
        gy: gy ?? scalar(0),
      };
      if (dropout) this.addDropout(feeds, batch, layer, '', dropout);
      gy = (await backward.run(feeds, this.layerResults(layer))).get('gx');
    }
    return Number(head.get('loss')?.data[0]);
  }

  private async layerForward(
    kind: 'forward' | 'score',
    layer: number,
    x: TensorData,
    batch: PackedBatch,
    shared: Feeds,
    dropout?: DropoutMasks,
  ): Promise<TensorData> {
    const feeds: Feeds = { ...shared, ...this.positions.layer(layer, batch), ...this.layerFeeds(layer), x };
    if (dropout) this.addDropout(feeds, batch, layer, '', dropout);
    const y = (await (await this.program(kind)).run(feeds)).get('y');
    if (!y) throw new Error('the layer gave no output');
    return y;
  }

  private layerFeeds(layer: number): Feeds {
    const { adapter, weights } = this.options;
    const prefix = layerPrefix(layer);
    const feeds: Feeds = {};
    for (const name of this.layerNames) {
      const weight = weights.get(prefix + name);
      if (weight) feeds[name] = weight;
    }
    for (const tensor of this.adapterTensors(layer)) {
      feeds[tensor.name.slice(`base_model.model.${prefix}`.length)] = {
        data: adapter.view(adapter.values, tensor),
        dims: tensor.shape,
      };
    }
    return feeds;
  }

  private layerResults(layer: number): Feeds {
    const { adapter } = this.options;
    const start = `base_model.model.${layerPrefix(layer)}`.length;
    return Object.fromEntries(
      this.adapterTensors(layer).map((tensor) => [
        `grad:${tensor.name.slice(start)}`,
        { data: adapter.view(this.scratch, tensor), dims: tensor.shape },
      ]),
    );
  }

  private adapterTensors(layer: number): LoraAdapter['tensors'] {
    const { adapter } = this.options;
    const perLayer = adapter.modules.length * 2;
    return adapter.tensors.slice(layer * perLayer, (layer + 1) * perLayer);
  }

  private addDropout(feeds: Feeds, batch: PackedBatch, layer: number, prefix: string, dropout: DropoutMasks): void {
    const { adapter } = this.options;
    const tensors = this.adapterTensors(layer);
    adapter.modules.forEach((module, i) => {
      const inner = tensors[i * 2]?.shape[1] ?? 0;
      const rows = batch.tokens.length;
      feeds[`${prefix}${module}.dropout`] = {
        data: dropout(`${layerPrefix(layer)}${module}`, rows * inner),
        dims: [rows, inner],
      };
    });
  }

  private headFeeds(batch: PackedBatch): Feeds {
    const { config, weights } = this.options;
    const feeds: Feeds = {
      rows: { data: batch.predictors, dims: [batch.predictors.length] },
      labels: { data: batch.labels, dims: [batch.labels.length, 1] },
    };
    for (const name of [FINAL_NORM, headWeight(config)]) {
      const weight = weights.get(name);
      if (weight) feeds[name] = weight;
    }
    return feeds;
  }

  private sharedFeeds(batch: PackedBatch, useAdapter: boolean): Feeds {
    return {
      ...this.positions.whole(batch),
      loraScale: scalar(useAdapter ? this.options.adapter.scale : 0),
    };
  }

  private embed(tokens: BigInt64Array): TensorData {
    const { config, weights } = this.options;
    const table = weights.get(EMBEDDING)?.data as Float32Array;
    const width = config.hiddenSize;
    const data = new Float32Array(tokens.length * width);
    tokens.forEach((token, i) => {
      const start = Number(token) * width;
      data.set(table.subarray(start, start + width), i * width);
    });
    const factor = embeddingScale(config);
    if (factor !== 1) data.forEach((value, i) => (data[i] = value * factor));
    return { data, dims: [tokens.length, width] };
  }

  private program(
    kind: 'whole' | 'forward' | 'backward' | 'score' | 'headGradient' | 'headScore' | 'headLogits',
  ): Promise<Program> {
    const existing = this.programs.get(kind);
    if (existing) return existing;
    const { adapter, config, executor } = this.options;
    const lora = { r: adapter.settings.r, modules: adapter.modules, dropout: adapter.settings.loraDropout > 0 };
    const build = {
      whole: () => graphs.wholeStepGraph(config, lora),
      forward: () => graphs.layerForwardGraph(config, lora),
      backward: () => graphs.layerBackwardGraph(config, lora),
      score: () => graphs.layerForwardGraph(config, { ...lora, dropout: false }),
      headGradient: () => graphs.headGradientGraph(config),
      headScore: () => graphs.headScoreGraph(config),
      headLogits: () => graphs.headLogitsGraph(config),
    };
    const created = executor.load(build[kind]());
    this.programs.set(kind, created);
    return created;
  }
}

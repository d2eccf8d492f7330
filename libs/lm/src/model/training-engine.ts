import type { ModelConfig } from '@luthier/formats';
import type { Executor, Program, TensorData } from '../executor/executor.js';
import { embeddingScale } from './blocks.js';
import { EngineFeeds, scalar } from './engine-feeds.js';
import type { DropoutMasks, Feeds, TensorGroup, Weights } from './engine-feeds.js';
import * as graphs from './graphs.js';
import type { StepGraph } from './graphs.js';
import type { TrainedGraph } from './layer-tensors.js';
import { LoraAdapter } from './lora.js';
import { trainedGraph, withoutDropout } from './trained-graph.js';
import { EMBEDDING, modelWeights } from './model-weights.js';
import { packRows } from './packed-batch.js';
import type { PackedBatch } from './packed-batch.js';
import { viewOf } from './trained-parameters.js';
import type { TrainedTensor } from './trained-parameters.js';
import type { TrainedWeights } from './trained-weights.js';

export type { DropoutMasks, Weights } from './engine-feeds.js';

/**
 * `whole-step`: one graph for forward and backward, fastest; all layers' activations are alive at once.
 * `layer-recompute`: one layer at a time, recomputed on the way back; only layer borders are kept.
 */
export type MemoryMode = 'whole-step' | 'layer-recompute';

export interface EngineOptions {
  readonly config: ModelConfig;
  readonly weights: Weights;
  /** What is trained: an adapter beside the weights, or weights, which are then those of `weights`. */
  readonly parameters: LoraAdapter | TrainedWeights;
  readonly memoryMode: MemoryMode;
  readonly executor: Executor;
  /** @default no noise, no smoothing */
  readonly step?: StepGraph;
}

export interface BatchScore {
  /** Negative log-likelihood of every trained token, in packed order. */
  readonly losses: Float32Array;
  /** Of every trained token whether it was also the most likely one. */
  readonly hits: Uint8Array;
  /** How many were. */
  readonly correct: number;
}

/** What a step takes besides its batch. */
export interface StepInputs {
  readonly dropout?: DropoutMasks | undefined;
  /** Added to the embeddings [N, H], where the engine was opened for it. */
  readonly noise?: Float32Array | undefined;
  /**
   * From the negative log-likelihood of each trained token to its weight in the loss; @default all 1. What compares
   * answers is trained so: weights are then the slopes of its loss.
   */
  readonly tokenWeights?: ((losses: Float32Array) => Float32Array) | undefined;
}

type ProgramName = 'whole' | 'forward' | 'backward' | 'score' | 'headGradient' | 'headScore' | 'headLogits';

const PLAIN: StepGraph = { noise: false, labelSmoothing: 0 };

/** Computes losses, gradients and scores of one model and what is trained of it. Used by one caller at a time. */
export class TrainingEngine {
  private readonly programs = new Map<string, Promise<Program>>();
  private readonly feeds: EngineFeeds;
  private readonly trained: TrainedGraph;
  /** The lowest layer that has something to train. */
  private readonly lowest: number;
  private scratch = new Float32Array(0);

  constructor(private readonly options: EngineOptions) {
    const { config, weights, parameters } = options;
    for (const [name, shape] of modelWeights(config)) {
      const found = weights.get(name);
      if (!found || found.dims.join() !== shape.join()) {
        throw new RangeError(
          `The weight "${name}" should have shape [${shape.join(', ')}], not [${found?.dims.join(', ') ?? 'missing'}].`,
        );
      }
    }
    this.feeds = new EngineFeeds(config, weights, parameters);
    this.trained = trainedGraph(this.feeds, config, parameters);
    this.lowest = parameters instanceof LoraAdapter ? 0 : parameters.firstLayer;
  }

  get memoryMode(): MemoryMode {
    return this.options.memoryMode;
  }

  /** Loads the graphs of training, so that the first step is not slower than the rest. */
  async warmUp(): Promise<void> {
    if (this.memoryMode === 'whole-step') await this.program('whole');
    else await Promise.all([this.program('forward'), this.program('backward'), this.program('headGradient')]);
  }

  /**
   * Adds the gradient of the weighted loss of `batch` to `gradients` (laid out as what is trained); returns that loss,
   * summed over the trained tokens.
   */
  async accumulate(batch: PackedBatch, gradients: Float32Array, inputs: StepInputs = {}): Promise<number> {
    return this.memoryMode === 'whole-step'
      ? this.wholeStep(batch, gradients, inputs)
      : this.layerByLayer(batch, gradients, inputs);
  }

  /** Scores a batch with what was trained; `useAdapter: false`: with the base alone, where an adapter is trained. */
  async score(batch: PackedBatch, useAdapter: boolean): Promise<BatchScore> {
    return this.scoreHead(batch, await this.forward('score', batch, useAdapter), useAdapter);
  }

  /** Logits [S, V] that predict the trained tokens, in packed order. For checking, not for serving. */
  async logits(batch: PackedBatch, useAdapter: boolean): Promise<Float32Array> {
    const x = await this.forward('score', batch, useAdapter);
    const found = await (await this.program('headLogits')).run({ ...this.feeds.head(batch, useAdapter), x });
    return found.get('logits')?.data as Float32Array;
  }

  /** The most likely next token after `tokens`. Computes the whole prefix: for checking, not for serving. */
  async nextToken(tokens: readonly number[], useAdapter: boolean): Promise<number> {
    const length = tokens.length;
    // A dummy last token makes the true last one a predictor.
    const trained = new Uint8Array(length + 1);
    trained[length] = 1;
    const batch = packRows([{ tokens: Int32Array.from([...tokens, 0]), trained }]);
    const x = await this.forward('score', batch, useAdapter);
    const found = await (await this.program('headScore')).run({ ...this.feeds.head(batch, useAdapter), x });
    return Number(found.get('best')?.data[0] ?? 0);
  }

  async release(): Promise<void> {
    for (const program of this.programs.values()) await (await program).release();
    this.programs.clear();
  }

  private async wholeStep(batch: PackedBatch, gradients: Float32Array, inputs: StepInputs): Promise<number> {
    const { parameters } = this.options;
    const group: TensorGroup = { tensors: parameters.tensors, start: 0, count: parameters.values.length };
    const scratch = this.scratchOf(group);
    const feeds: Feeds = {
      ...this.feeds.whole(batch, inputs.dropout),
      tokenWeights: await this.tokenWeights(batch, inputs, () => this.forward('forward', batch, true, inputs)),
    };
    if (inputs.noise) feeds['noise'] = this.noiseOf(batch, inputs.noise);
    const found = await (await this.program('whole')).run(feeds, this.feeds.gradientsOf(group, scratch, ''));
    addTo(gradients, group, scratch);
    return Number(found.get('loss')?.data[0]);
  }

  private async layerByLayer(batch: PackedBatch, gradients: Float32Array, inputs: StepInputs): Promise<number> {
    const { config } = this.options;
    const borders: TensorData[] = [];
    const x = await this.forward('forward', batch, true, inputs, borders);
    const { outer } = this.feeds;
    const scratch = this.scratchOf(outer);
    const head = await (
      await this.program('headGradient')
    ).run(
      {
        ...this.feeds.head(batch, true),
        x,
        tokenWeights: await this.tokenWeights(batch, inputs, () => Promise.resolve(x)),
      },
      // Of tied or untied embeddings alike: what flows back to them through the layers comes at the end.
      this.headGradients(outer, scratch),
    );
    addTo(gradients, outer, scratch, (tensor) => this.isOfHead(tensor));
    let gy = head.get('gx');
    const backward = await this.program('backward');
    for (let layer = config.layers - 1; layer >= this.lowest; layer -= 1) {
      const feeds: Feeds = {
        ...this.feeds.layer(layer, batch, true, inputs.dropout),
        x: borders.pop() ?? scalar(0),
        gy: gy ?? scalar(0),
      };
      gy = await this.layerBackward(backward, layer, feeds, gradients);
    }
    if (gy) this.addEmbeddingGradient(batch, gy.data as Float32Array, gradients);
    return Number(head.get('loss')?.data[0]);
  }

  private async layerBackward(
    program: Program,
    layer: number,
    feeds: Feeds,
    gradients: Float32Array,
  ): Promise<TensorData | undefined> {
    const group = this.feeds.layers[layer];
    if (!group) throw new Error(`there is no layer ${layer}`);
    const scratch = this.scratchOf(group);
    const results = this.feeds.gradientsOf(group, scratch, this.feeds.storedPrefix(layer));
    const found = await program.run(feeds, results);
    addTo(gradients, group, scratch);
    return found.get('gx');
  }

  /** Untied embeddings are no part of the head's graph. */
  private isOfHead(tensor: TrainedTensor): boolean {
    return this.options.config.tieWordEmbeddings || this.feeds.outerNameOf(tensor) !== EMBEDDING;
  }

  private headGradients(outer: TensorGroup, scratch: Float32Array): Feeds {
    return this.feeds.gradientsOf(
      { ...outer, tensors: outer.tensors.filter((one) => this.isOfHead(one)) },
      scratch,
      '',
    );
  }

  /** Through all layers; those borders from which something is trained are put into `borders`. */
  private async forward(
    kind: 'forward' | 'score',
    batch: PackedBatch,
    useAdapter: boolean,
    inputs: StepInputs = {},
    borders?: TensorData[],
  ): Promise<TensorData> {
    const program = await this.program(kind);
    let x = this.feeds.embed(batch.tokens, useAdapter);
    if (inputs.noise) addNoise(x.data as Float32Array, inputs.noise);
    for (let layer = 0; layer < this.options.config.layers; layer += 1) {
      if (layer >= this.lowest) borders?.push(x);
      const feeds = { ...this.feeds.layer(layer, batch, useAdapter, inputs.dropout), x };
      const y = (await program.run(feeds)).get('y');
      if (!y) throw new Error('the layer gave no output');
      x = y;
    }
    return x;
  }

  private async tokenWeights(
    batch: PackedBatch,
    { tokenWeights }: StepInputs,
    hidden: () => Promise<TensorData>,
  ): Promise<TensorData> {
    const data = tokenWeights
      ? tokenWeights((await this.scoreHead(batch, await hidden(), true)).losses)
      : new Float32Array(batch.labels.length).fill(1);
    return { data, dims: [batch.labels.length] };
  }

  private async scoreHead(batch: PackedBatch, x: TensorData, useAdapter: boolean): Promise<BatchScore> {
    const found = await (await this.program('headScore')).run({ ...this.feeds.head(batch, useAdapter), x });
    const best = found.get('best')?.data as BigInt64Array;
    const hits = Uint8Array.from(batch.labels, (label, i) => (best[i] === label ? 1 : 0));
    return { losses: found.get('losses')?.data as Float32Array, hits, correct: hits.reduce((a, b) => a + b, 0) };
  }

  private addEmbeddingGradient(batch: PackedBatch, gx: Float32Array, gradients: Float32Array): void {
    const tensor = this.feeds.outer.tensors.find((one) => this.feeds.outerNameOf(one) === EMBEDDING);
    if (!tensor) return;
    const [table, width] = [viewOf(gradients, tensor), this.options.config.hiddenSize];
    const factor = embeddingScale(this.options.config);
    batch.tokens.forEach((token, i) => {
      const [to, from] = [Number(token) * width, i * width];
      for (let d = 0; d < width; d += 1) table[to + d] = (table[to + d] ?? 0) + factor * (gx[from + d] ?? 0);
    });
  }

  private noiseOf(batch: PackedBatch, data: Float32Array): TensorData {
    return { data, dims: [batch.tokens.length, this.options.config.hiddenSize] };
  }

  /** Room for the gradients of a group; only one group's are there at a time. */
  private scratchOf({ count }: TensorGroup): Float32Array {
    if (this.scratch.length < count) this.scratch = new Float32Array(count);
    return this.scratch;
  }

  private program(kind: ProgramName): Promise<Program> {
    // Without dropout both ways forward are one graph.
    const name = kind === 'score' && !this.trained.lora?.dropout ? 'forward' : kind;
    const existing = this.programs.get(name);
    if (existing) return existing;
    const { config, executor, step = PLAIN } = this.options;
    const { trained } = this;
    const build: Record<ProgramName, () => Parameters<Executor['load']>[0]> = {
      whole: () => graphs.wholeStepGraph(config, trained, step),
      forward: () => graphs.layerForwardGraph(config, trained),
      backward: () => graphs.layerBackwardGraph(config, trained),
      score: () => graphs.layerForwardGraph(config, withoutDropout(trained)),
      headGradient: () => graphs.headGradientGraph(config, trained, step),
      headScore: () => graphs.headScoreGraph(config, trained),
      headLogits: () => graphs.headLogitsGraph(config, trained),
    };
    const loading = executor.load(build[name]());
    this.programs.set(name, loading);
    return loading;
  }
}

function addNoise(values: Float32Array, noise: Float32Array): void {
  for (let i = 0; i < values.length; i += 1) values[i] = (values[i] ?? 0) + (noise[i] ?? 0);
}

function addTo(
  gradients: Float32Array,
  { tensors, start }: TensorGroup,
  scratch: Float32Array,
  counts: (tensor: TrainedTensor) => boolean = () => true,
): void {
  for (const tensor of tensors) {
    if (!counts(tensor)) continue;
    const [total, found] = [viewOf(gradients, tensor), viewOf(scratch, { ...tensor, offset: tensor.offset - start })];
    for (let i = 0; i < total.length; i += 1) total[i] = (total[i] ?? 0) + (found[i] ?? 0);
  }
}

import { AppError, RandomStream, epochOrder } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import type { PreparedDataset, PreparedRow } from '@luthier/formats';
import { AdamW, globalNorm, learningRateAt, microBatches, packRows } from '@luthier/lm';
import type { DropoutMasks, TrainingEngine, LoraAdapter } from '@luthier/lm';

export interface StepOutcome {
  readonly loss: number;
  readonly gradNorm: number;
  readonly learningRate: number;
  readonly tokens: number;
  readonly trainedTokens: number;
}

export interface StepperOptions {
  readonly spec: RuntimeSpec;
  readonly engine: TrainingEngine;
  readonly adapter: LoraAdapter;
  readonly optimiser: AdamW;
  readonly dataset: PreparedDataset;
  readonly tokenBudget: number;
  readonly totalSteps: number;
  /** Called after every micro-batch; throws to leave before the optimiser moves. */
  readonly between: (step: number) => void;
}

/** Optimiser steps of supervised training. What a step does depends on its number and the seed alone. */
export class Stepper {
  readonly stepsPerEpoch: number;
  private readonly gradients: Float32Array;
  private order: { readonly epoch: number; readonly rows: Uint32Array } | undefined;

  constructor(private readonly options: StepperOptions) {
    const { dataset, spec, adapter } = options;
    this.stepsPerEpoch = Math.ceil(dataset.rows / spec.hyperparameters.globalBatch);
    this.gradients = new Float32Array(adapter.values.length);
  }

  /** Runs step `step` (from 0). Throws `training.diverged` when loss or gradient is not finite. */
  async run(step: number): Promise<StepOutcome> {
    const { spec, engine, adapter, optimiser, tokenBudget, totalSteps, between } = this.options;
    const rows = await this.rowsOf(step);
    this.gradients.fill(0);
    let lossSum = 0;
    let tokens = 0;
    let trainedTokens = 0;
    for (const [index, micro] of microBatches(rows, tokenBudget).entries()) {
      const batch = packRows(micro);
      lossSum += await engine.accumulate(batch, this.gradients, this.dropout(step, index));
      tokens += batch.tokens.length;
      trainedTokens += batch.labels.length;
      between(step);
    }
    const { hyperparameters } = spec;
    const loss = lossSum / trainedTokens;
    const gradNorm = globalNorm(this.gradients) / trainedTokens;
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
      throw new AppError('training.diverged', `Step ${step + 1}: loss ${loss}, gradient norm ${gradNorm}.`);
    }
    const learningRate = learningRateAt(step, { ...hyperparameters, totalSteps });
    const clip = Math.min(1, hyperparameters.maxGradNorm / (gradNorm + 1e-6));
    optimiser.update(adapter.values, this.gradients, learningRate, clip / trainedTokens);
    return { loss, gradNorm, learningRate, tokens, trainedTokens };
  }

  private async rowsOf(step: number): Promise<PreparedRow[]> {
    const { dataset, spec } = this.options;
    const epoch = Math.floor(step / this.stepsPerEpoch);
    if (this.order?.epoch !== epoch) this.order = { epoch, rows: epochOrder(dataset.rows, spec.seed, epoch) };
    const first = (step % this.stepsPerEpoch) * spec.hyperparameters.globalBatch;
    const numbers = this.order.rows.subarray(first, first + spec.hyperparameters.globalBatch);
    return Promise.all(Array.from(numbers, (row) => dataset.row(row)));
  }

  private dropout(step: number, micro: number): DropoutMasks | undefined {
    const { adapter, spec } = this.options;
    const share = adapter.settings.loraDropout;
    if (share === 0) return undefined;
    return (name, count) =>
      new RandomStream(spec.seed, `dropout/${step}/${micro}/${name}`)
        .uniform(count)
        .map((u) => (u < share ? 0 : 1 / (1 - share)));
  }
}

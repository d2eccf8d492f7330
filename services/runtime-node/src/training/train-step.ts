import { AppError, RandomStream } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import { LoraAdapter, globalNorm, learningRateAt, microBatches, packRows } from '@luthier/lm';
import type { DropoutMasks, Optimiser, TrainingEngine } from '@luthier/lm';
import { embeddingNoise } from './embedding-noise.js';
import { placeOf, rowsOf, unitTokens, unitTrained } from '../inputs/global-batches.js';
import type { Row, TrainingBatches, Unit } from '../inputs/global-batches.js';
import type { Objective } from '../objectives/objective.js';
import type { Tuned } from './tuned.js';

const PLACES_NAMED = 8;

export interface StepOutcome {
  readonly loss: number;
  readonly gradNorm: number;
  readonly learningRate: number;
  readonly tokens: number;
  readonly trainedTokens: number;
  /** What else the method knows of the batch. */
  readonly metrics: Readonly<Record<string, number>>;
}

export interface StepperOptions {
  readonly spec: RuntimeSpec;
  readonly engine: TrainingEngine;
  readonly hiddenSize: number;
  readonly parameters: Tuned['parameters'];
  readonly optimiser: Optimiser;
  readonly objective: Objective;
  readonly batches: TrainingBatches;
  readonly tokenBudget: number;
  /** Called after every micro-batch; throws to leave before the optimiser moves. */
  readonly between: () => void;
}

interface Accumulated {
  readonly loss: number;
  readonly metrics: Record<string, number>;
  readonly divisor: number;
}

/** Optimiser steps. What a step does depends on its number and the seed alone. */
export class Stepper {
  private readonly gradients: Float32Array;

  constructor(private readonly options: StepperOptions) {
    this.gradients = new Float32Array(options.parameters.values.length);
  }

  /** Runs step `step` (from 0). Throws `training.diverged` when loss or gradient is not finite. */
  async run(step: number): Promise<StepOutcome> {
    const { spec, parameters, optimiser, batches } = this.options;
    const batch = await batches.at(step);
    const { loss, metrics, divisor } = await this.accumulate(step, batch);
    const gradNorm = globalNorm(this.gradients) / divisor;
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm))
      throw this.diverged(step, `loss ${loss}, gradient norm ${gradNorm}`, rowsOf(batch.units));
    const { hyperparameters } = spec;
    const learningRate = learningRateAt(step, { ...hyperparameters, totalSteps: batches.totalSteps });
    const clip = Math.min(1, hyperparameters.maxGradNorm / (gradNorm + 1e-6));
    optimiser.update(parameters.values, this.gradients, learningRate, clip / divisor);
    const sum = (of: (unit: Unit) => number): number => batch.units.reduce((total, unit) => total + of(unit), 0);
    return { loss, gradNorm, learningRate, tokens: sum(unitTokens), trainedTokens: sum(unitTrained), metrics };
  }

  /** Leaves the gradients of the batch, still to be divided; its loss and metrics are whole. */
  private async accumulate(step: number, batch: Awaited<ReturnType<TrainingBatches['at']>>): Promise<Accumulated> {
    const { spec, engine, objective, tokenBudget, between, hiddenSize } = this.options;
    const opened = await objective.open(batch);
    this.gradients.fill(0);
    let loss = 0;
    const metrics: Record<string, number> = {};
    for (const [index, units] of microBatches(batch.units, tokenBudget, unitTokens).entries()) {
      const rows = rowsOf(units);
      const packed = packRows(rows);
      const micro = opened.open(units, packed);
      const share = micro.finish(
        await engine.accumulate(packed, this.gradients, {
          dropout: this.dropout(step, index),
          noise: embeddingNoise(spec, step, rows, hiddenSize),
          tokenWeights: micro.tokenWeights,
        }),
      );
      if (!Number.isFinite(share.loss)) throw this.diverged(step, `loss ${share.loss}`, rows);
      loss += share.loss;
      for (const [name, value] of Object.entries(share.metrics)) metrics[name] = (metrics[name] ?? 0) + value;
      between();
    }
    return { loss, metrics, divisor: opened.divisor };
  }

  /** Names the step and where the rows came from: a broken row shows there first. */
  private diverged(step: number, seen: string, rows: readonly Row[]): AppError {
    const places = rows.slice(0, PLACES_NAMED).map((row) => placeOf(this.options.batches.dataset, row));
    const more = rows.length > PLACES_NAMED ? ` and ${rows.length - PLACES_NAMED} more` : '';
    return new AppError('training.diverged', `Step ${step + 1}: ${seen}; its rows: ${places.join(', ')}${more}.`);
  }

  private dropout(step: number, micro: number): DropoutMasks | undefined {
    const { parameters, spec } = this.options;
    const share = parameters instanceof LoraAdapter ? parameters.settings.loraDropout : 0;
    if (share === 0) return undefined;
    return (name, count) =>
      new RandomStream(spec.seed, `dropout/${step}/${micro}/${name}`)
        .uniform(count)
        .map((u) => (u < share ? 0 : 1 / (1 - share)));
  }
}

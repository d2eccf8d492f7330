import { AppError } from '@luthier/contracts';
import type { RuntimeSpec, Score } from '@luthier/contracts';
import type { PreparedDataset } from '@luthier/formats';
import type { PackedBatch, StepInputs, TrainingEngine } from '@luthier/lm';
import { placeOf, rowsOf, unitTrained } from '../inputs/global-batches.js';
import type { Batch, Unit } from '../inputs/global-batches.js';
import { scoreRows } from './score-rows.js';

/** What an objective needs of its run. */
export interface Surroundings {
  readonly spec: RuntimeSpec;
  readonly engine: TrainingEngine;
  readonly tokenBudget: number;
  /** Called after every micro-batch that is measured; throws to leave. */
  readonly between: () => void;
}

/** What a micro-batch adds to the loss and the metrics of its global batch: shares add up. */
interface Share {
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
}

export interface OpenMicroBatch {
  readonly tokenWeights?: NonNullable<StepInputs['tokenWeights']>;
  /** After its pass, with the weighted loss that the engine gave. */
  finish(weightedLoss: number): Share;
}

export interface OpenBatch {
  /** By what the gradients that the engine adds up are still to be divided. */
  readonly divisor: number;
  open(units: readonly Unit[], packed: PackedBatch): OpenMicroBatch;
}

/** What a method minimises, and how its models are scored. */
export interface Objective {
  /** Measures what has to be known of the model before its first step; of a run that scores, of the base. */
  prepare(useAdapter: boolean): Promise<void>;
  /** Takes what `save` kept of it in a checkpoint. */
  load(checkpoint: string): Promise<void>;
  save(checkpoint: string): Promise<void>;
  /** To be called before each step, without dropout or gradients. */
  open(batch: Batch): Promise<OpenBatch>;
  score(dataset: PreparedDataset, useAdapter: boolean): Promise<Score>;
}

const nothing = (): Promise<void> => Promise.resolve();

/** Supervised training and pretraining: the mean loss of a trained token. */
export class TokenObjective implements Objective {
  readonly prepare = nothing;
  readonly load = nothing;
  readonly save = nothing;

  constructor(
    private readonly around: Surroundings,
    private readonly train: PreparedDataset | undefined,
  ) {}

  open({ units }: Batch): Promise<OpenBatch> {
    const trained = units.reduce((sum, unit) => sum + unitTrained(unit), 0);
    const [row] = rowsOf(units);
    if (trained === 0 && this.train && row) {
      throw new AppError('data.bad', `${placeOf(this.train, row)}: no token of its global batch is trained.`);
    }
    const finish = (loss: number): Share => ({ loss: loss / trained, metrics: {} });
    return Promise.resolve({ divisor: trained, open: () => ({ finish }) });
  }

  score(dataset: PreparedDataset, useAdapter: boolean): Promise<Score> {
    const { engine, tokenBudget, between } = this.around;
    return scoreRows({ engine, dataset, useAdapter, tokenBudget, between });
  }
}

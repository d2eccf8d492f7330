import { epochOrder } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import type { PreparedDataset, PreparedRow } from '@luthier/formats';
import { trainedCount } from '@luthier/lm';
import { totalSteps } from '@luthier/planner';

/** A stored row by its number. */
export interface Row extends PreparedRow {
  /** Among the stored rows, from 0. */
  readonly number: number;
}

/** What orders and batches count: one row, or a chosen row and the rejected one beside it. */
export interface Unit {
  /** From 0, in stored order. */
  readonly index: number;
  readonly rows: readonly Row[];
}

export interface Batch {
  readonly units: readonly Unit[];
  /** How many units were taken before it, over all epochs. */
  readonly first: number;
}

export const rowsOf = (units: readonly Unit[]): Row[] => units.flatMap((unit) => unit.rows);
export const unitTokens = ({ rows }: Unit): number => rows.reduce((sum, row) => sum + row.tokens.length, 0);
export const unitTrained = ({ rows }: Unit): number => rows.reduce((sum, row) => sum + trainedCount(row), 0);

export const rowsPerUnit = ({ manifest }: PreparedDataset): number => (manifest.kind === 'preference' ? 2 : 1);
const unitCount = (dataset: PreparedDataset): number => dataset.rows / rowsPerUnit(dataset);

/** Where a row came from, for people. */
export function placeOf(dataset: PreparedDataset, row: Row): string {
  const source = dataset.manifest.sources[row.sourceFile];
  return `${source?.fileId ?? 'file'}:${row.sourceLine}`;
}

async function readUnit(dataset: PreparedDataset, index: number): Promise<Unit> {
  const size = rowsPerUnit(dataset);
  const numbers = Array.from({ length: size }, (_, i) => index * size + i);
  const rows = await Promise.all(numbers.map(async (number) => ({ ...(await dataset.row(number)), number })));
  return { index, rows };
}

/** All units once, as they are stored. */
export async function* storedBatches(dataset: PreparedDataset, size: number): AsyncGenerator<Batch> {
  const count = unitCount(dataset);
  for (let first = 0; first < count; first += size) {
    const indices = Array.from({ length: Math.min(size, count - first) }, (_, i) => first + i);
    yield { units: await Promise.all(indices.map((index) => readUnit(dataset, index))), first };
  }
}

/** In the order of each epoch; the last, smaller batch of an epoch is kept. */
export class TrainingBatches {
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  private order: { readonly epoch: number; readonly units: Uint32Array } | undefined;

  constructor(
    private readonly spec: RuntimeSpec,
    readonly dataset: PreparedDataset,
  ) {
    const units = unitCount(dataset);
    this.stepsPerEpoch = Math.ceil(units / spec.hyperparameters.globalBatch);
    this.totalSteps = totalSteps(units, spec.hyperparameters);
  }

  /** The batch of step `step`, from 0: it depends on the step and the seed alone. */
  async at(step: number): Promise<Batch> {
    const { dataset, spec } = this;
    const { globalBatch } = spec.hyperparameters;
    const [units, epoch] = [unitCount(dataset), Math.floor(step / this.stepsPerEpoch)];
    if (this.order?.epoch !== epoch) this.order = { epoch, units: epochOrder(units, spec.seed, epoch) };
    const first = (step % this.stepsPerEpoch) * globalBatch;
    const chosen = this.order.units.subarray(first, first + globalBatch);
    return {
      units: await Promise.all(Array.from(chosen, (index) => readUnit(dataset, index))),
      first: epoch * units + first,
    };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch> {
    for (let step = 0; step < this.totalSteps; step += 1) yield await this.at(step);
  }
}

/** Tokens of the largest thing that goes through the model as a whole. */
export async function longestPass(dataset: PreparedDataset): Promise<number> {
  let [longest, prompt, answer] = [1, 0, 0];
  const pairs = dataset.manifest.kind === 'preference';
  for (let i = 0; i < dataset.rows; i += 1) {
    const length = dataset.rowLength(i) + (pairs && i % 2 === 0 ? dataset.rowLength(i + 1) : 0);
    longest = Math.max(longest, length);
    if (dataset.manifest.kind !== 'kto') continue;
    const { promptLength } = await dataset.row(i);
    [prompt, answer] = [Math.max(prompt, promptLength), Math.max(answer, length - promptLength)];
  }
  // Of KTO a prompt is also seen with the answer of another row.
  return Math.max(longest, prompt + answer);
}

import { AppError } from '@luthier/contracts';
import type { Score } from '@luthier/contracts';
import type { PreparedDataset } from '@luthier/formats';
import {
  microBatches,
  packRows,
  preferenceShare,
  preferenceTotals,
  rowLength,
  sumByRow,
  trainedCount,
} from '@luthier/lm';
import type { ComparedRow, PackedBatch, PreferenceSettings, PreferenceTotals } from '@luthier/lm';
import { placeOf, rowsOf, rowsPerUnit, storedBatches, unitTokens } from '../inputs/global-batches.js';
import type { Batch, Row, TrainingBatches, Unit } from '../inputs/global-batches.js';
import type { Objective, OpenBatch, OpenMicroBatch, Surroundings } from './objective.js';
import { loadReferences, measureReference, mismatchedRows, saveReferences } from './reference.js';
import type { Reference } from './reference.js';

const NONE = new Float64Array(0);

/** Datasets by the names of their references. */
interface Data {
  readonly train?: TrainingBatches | undefined;
  readonly heldOut?: PreparedDataset | undefined;
}

/** DPO, ORPO, SimPO and KTO: what is learnt by comparing answers. */
export class PreferenceObjective implements Objective {
  private references = new Map<string, Reference>();

  constructor(
    private readonly around: Surroundings,
    private readonly settings: PreferenceSettings,
    private readonly data: Data,
  ) {}

  async prepare(useAdapter: boolean): Promise<void> {
    const { train, heldOut } = this.data;
    const kto = this.settings.type === 'kto';
    if (this.references.size > 0 || (!kto && this.settings.type !== 'dpo')) return;
    const measure = (rows: readonly Row[]): Promise<Float64Array> => this.measure(rows, useAdapter);
    const found = new Map<string, Reference>();
    if (train) found.set('train', await measureReference(train.dataset, train, measure, kto));
    if (heldOut) found.set('heldOut', await measureReference(heldOut, this.scoredBatches(heldOut), measure, kto));
    this.references = found;
  }

  async load(checkpoint: string): Promise<void> {
    this.references = await loadReferences(checkpoint);
  }

  async save(checkpoint: string): Promise<void> {
    if (this.references.size > 0) await saveReferences(this.references, checkpoint);
  }

  async open(batch: Batch): Promise<OpenBatch> {
    const rows = rowsOf(batch.units);
    const empty = rows.find((row) => trainedCount(row) === 0);
    if (empty && this.data.train) {
      const place = placeOf(this.data.train.dataset, empty);
      throw new AppError('data.bad', `${place}: the answer has no trained token, so it cannot be compared.`);
    }
    const totals = preferenceTotals(rows.map(compared), this.rowsPerUnit);
    const reference = this.references.get('train');
    const mismatched = await this.mismatched(batch, reference, true);
    // The shares are parts of the batch's mean already.
    return { divisor: 1, open: (units, packed) => this.openMicro(units, packed, reference, mismatched, totals) };
  }

  /** The method's loss, and how well the answers to learn are predicted. */
  async score(dataset: PreparedDataset, useAdapter: boolean): Promise<Score> {
    const { engine, tokenBudget, between } = this.around;
    const reference = this.references.get('heldOut');
    const totals = await this.totalsOf(dataset);
    let [loss, wantedLoss, correct] = [0, 0, 0];
    const metrics: Record<string, number> = {};
    for await (const batch of this.scoredBatches(dataset)) {
      const mismatched = await this.mismatched(batch, reference, useAdapter);
      for (const units of microBatches(batch.units, tokenBudget, unitTokens)) {
        const rows = rowsOf(units);
        const packed = packRows(rows);
        const found = await engine.score(packed, useAdapter);
        const policy = sumByRow(found.losses, packed).map((sum) => -sum);
        const hits = sumByRow(Float32Array.from(found.hits), packed);
        const likelihoods = { policy, reference: referenceOf(rows, reference), mismatched };
        const share = preferenceShare(this.settings, rows.map(compared), likelihoods, totals);
        loss += share.loss;
        for (const [name, value] of Object.entries(share.metrics)) metrics[name] = (metrics[name] ?? 0) + value;
        rows.forEach((row, i) => {
          if (!compared(row).wanted) return;
          wantedLoss -= policy[i] ?? 0;
          correct += hits[i] ?? 0;
        });
        between();
      }
    }
    const tokens = Math.max(1, totals.wantedTokens);
    return {
      rows: dataset.rows,
      trainedTokens: totals.wantedTokens,
      loss,
      perplexity: Math.exp(wantedLoss / tokens),
      tokenAccuracy: correct / tokens,
      metrics,
    };
  }

  private get rowsPerUnit(): number {
    return this.settings.type === 'kto' ? 1 : 2;
  }

  private openMicro(
    units: readonly Unit[],
    packed: PackedBatch,
    reference: Reference | undefined,
    mismatched: Float64Array,
    totals: PreferenceTotals,
  ): OpenMicroBatch {
    const rows = rowsOf(units);
    const before = referenceOf(rows, reference);
    let share: ReturnType<typeof preferenceShare> | undefined;
    const tokenWeights = (losses: Float32Array): Float32Array => {
      const likelihoods = { policy: sumByRow(losses, packed).map((sum) => -sum), reference: before, mismatched };
      const { slopes } = (share = preferenceShare(this.settings, rows.map(compared), likelihoods, totals));
      // By its log-probability the loss has the slope; a token's loss is that with the other sign.
      return Float32Array.from(packed.labelRows, (row) => -(slopes[row] ?? 0));
    };
    const finish = (): Pick<NonNullable<typeof share>, 'loss' | 'metrics'> =>
      share ?? { loss: Number.NaN, metrics: {} };
    return { tokenWeights, finish };
  }

  private scoredBatches(dataset: PreparedDataset): AsyncGenerator<Batch> {
    return storedBatches(dataset, this.around.spec.hyperparameters.globalBatch);
  }

  private async totalsOf(dataset: PreparedDataset): Promise<PreferenceTotals> {
    const rows: ComparedRow[] = [];
    for await (const { units } of this.scoredBatches(dataset)) rows.push(...rowsOf(units).map(compared));
    return preferenceTotals(rows, rowsPerUnit(dataset));
  }

  /** Log-ratios [units] of the answers that do not belong to their prompts; of KTO alone. */
  private async mismatched(batch: Batch, reference: Reference | undefined, useAdapter: boolean): Promise<Float64Array> {
    if (!reference || this.settings.type !== 'kto') return NONE;
    const now = await this.measure(mismatchedRows(batch), useAdapter);
    return now.map((value, i) => value - (reference.mismatched[batch.first + i] ?? 0));
  }

  /** Log-probabilities of the trained tokens of each row, without dropout, in their order. */
  private async measure(rows: readonly Row[], useAdapter: boolean): Promise<Float64Array> {
    const { engine, tokenBudget, between } = this.around;
    const found = new Float64Array(rows.length);
    const trained = rows.flatMap((row, place) => (trainedCount(row) > 0 ? [{ row, place }] : []));
    for (const micro of microBatches(trained, tokenBudget, ({ row }) => rowLength(row))) {
      const packed = packRows(micro.map(({ row }) => row));
      const sums = sumByRow((await engine.score(packed, useAdapter)).losses, packed);
      micro.forEach(({ place }, i) => (found[place] = -(sums[i] ?? 0)));
      between();
    }
    return found;
  }
}

/** A rejected row of a pair has an odd number; KTO's rows have labels. */
const compared = (row: Row): ComparedRow => ({
  trainedCount: trainedCount(row),
  wanted: row.label === undefined ? row.number % 2 === 0 : row.label === 1,
});

const referenceOf = (rows: readonly Row[], reference: Reference | undefined): Float64Array =>
  reference ? Float64Array.from(rows, (row) => reference.rows[row.number] ?? 0) : NONE;

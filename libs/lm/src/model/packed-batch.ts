/** One prepared row: `trained[t]` is 1 when the model is trained to predict `tokens[t]` from what precedes it. */
export interface TrainingRow {
  readonly tokens: Int32Array;
  readonly trained: Uint8Array;
}

/** Rows one after the other without padding: every row sees only itself and counts its positions from 0. */
export interface PackedBatch {
  readonly rows: number;
  readonly tokens: BigInt64Array;
  readonly positions: BigInt64Array;
  /** Packed index of the token before each trained one: where its logits are taken. */
  readonly predictors: BigInt64Array;
  readonly labels: BigInt64Array;
  /** Which row each label belongs to. */
  readonly labelRows: Int32Array;
  /** Tokens of each row. */
  readonly lengths: readonly number[];
  readonly longestRow: number;
}

/** Throws RangeError when a row is empty or no token of the batch is trained. */
export function packRows(rows: readonly TrainingRow[]): PackedBatch {
  const count = rows.reduce((sum, row) => sum + row.tokens.length, 0);
  const tokens = new BigInt64Array(count);
  const positions = new BigInt64Array(count);
  const predictors: bigint[] = [];
  const labels: bigint[] = [];
  const longestRow = rows.reduce((longest, row) => Math.max(longest, row.tokens.length), 0);
  let start = 0;
  const labelRows: number[] = [];
  for (const [index, row] of rows.entries()) {
    const length = row.tokens.length;
    if (length === 0) throw new RangeError('a row has no tokens');
    for (let i = 0; i < length; i += 1) {
      const token = BigInt(row.tokens[i] ?? 0);
      tokens[start + i] = token;
      positions[start + i] = BigInt(i);
      if (i > 0 && row.trained[i] === 1) {
        predictors.push(BigInt(start + i - 1));
        labels.push(token);
        labelRows.push(index);
      }
    }
    start += length;
  }
  if (labels.length === 0) throw new RangeError('no token of the batch is trained');
  return {
    rows: rows.length,
    tokens,
    positions,
    predictors: BigInt64Array.from(predictors),
    labels: BigInt64Array.from(labels),
    labelRows: Int32Array.from(labelRows),
    lengths: rows.map((row) => row.tokens.length),
    longestRow,
  };
}

/** Number of tokens a row trains (its first token cannot be predicted). */
export function trainedCount(row: TrainingRow): number {
  let count = 0;
  for (let i = 1; i < row.trained.length; i += 1) count += row.trained[i] === 1 ? 1 : 0;
  return count;
}

/** Sums [rows] of one number for each label, in double precision. */
export function sumByRow(values: Float32Array, { rows, labelRows }: PackedBatch): Float64Array {
  const sums = new Float64Array(rows);
  labelRows.forEach((row, i) => (sums[row] = (sums[row] ?? 0) + (values[i] ?? 0)));
  return sums;
}

/**
 * Splits a global batch into micro-batches of at most `tokenBudget` tokens (what alone is longer gets one of its own),
 * longest first so that those of like length meet. Order within the batch does not change the summed gradient's meaning.
 */
export function microBatches<T>(items: readonly T[], tokenBudget: number, lengthOf: (item: T) => number): T[][] {
  const sorted = items.toSorted((a, b) => lengthOf(b) - lengthOf(a));
  const batches: { items: T[]; tokens: number }[] = [];
  for (const item of sorted) {
    const length = lengthOf(item);
    const open = batches.find((batch) => batch.tokens + length <= tokenBudget);
    if (open) {
      open.items.push(item);
      open.tokens += length;
    } else batches.push({ items: [item], tokens: length });
  }
  return batches.map((batch) => batch.items);
}

export const rowLength = (row: TrainingRow): number => row.tokens.length;

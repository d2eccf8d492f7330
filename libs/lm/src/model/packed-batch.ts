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
  /** Where each token lies in a grid [rows, longestRow] that attention is computed in, counted along both axes. */
  readonly places: BigInt64Array;
  /** Packed index of the token before each trained one: where its logits are taken. */
  readonly predictors: BigInt64Array;
  readonly labels: BigInt64Array;
  readonly longestRow: number;
}

/** Throws RangeError when a row is empty or no token of the batch is trained. */
export function packRows(rows: readonly TrainingRow[]): PackedBatch {
  const count = rows.reduce((sum, row) => sum + row.tokens.length, 0);
  const tokens = new BigInt64Array(count);
  const positions = new BigInt64Array(count);
  const predictors: bigint[] = [];
  const labels: bigint[] = [];
  const places = new BigInt64Array(count);
  const longestRow = rows.reduce((longest, row) => Math.max(longest, row.tokens.length), 0);
  let start = 0;
  for (const [index, row] of rows.entries()) {
    const length = row.tokens.length;
    if (length === 0) throw new RangeError('a row has no tokens');
    for (let i = 0; i < length; i += 1) {
      const token = BigInt(row.tokens[i] ?? 0);
      tokens[start + i] = token;
      positions[start + i] = BigInt(i);
      places[start + i] = BigInt(index * longestRow + i);
      if (i > 0 && row.trained[i] === 1) {
        predictors.push(BigInt(start + i - 1));
        labels.push(token);
      }
    }
    start += length;
  }
  if (labels.length === 0) throw new RangeError('no token of the batch is trained');
  return {
    rows: rows.length,
    tokens,
    positions,
    places,
    predictors: BigInt64Array.from(predictors),
    labels: BigInt64Array.from(labels),
    longestRow,
  };
}

/** Number of tokens a row trains (its first token cannot be predicted). */
export function trainedCount(row: TrainingRow): number {
  let count = 0;
  for (let i = 1; i < row.trained.length; i += 1) count += row.trained[i] === 1 ? 1 : 0;
  return count;
}

/**
 * Splits a global batch into micro-batches of at most `tokenBudget` tokens (a longer row gets one of its own), longest
 * rows first so that rows of like length meet. Order within the batch does not change the summed gradient's meaning.
 */
export function microBatches<T extends TrainingRow>(rows: readonly T[], tokenBudget: number): T[][] {
  const sorted = rows.toSorted((a, b) => b.tokens.length - a.tokens.length);
  const batches: { rows: T[]; tokens: number }[] = [];
  for (const row of sorted) {
    const open = batches.find((batch) => batch.tokens + row.tokens.length <= tokenBudget);
    if (open) {
      open.rows.push(row);
      open.tokens += row.tokens.length;
    } else batches.push({ rows: [row], tokens: row.tokens.length });
  }
  return batches.map((batch) => batch.rows);
}

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
  /** Additive, [N, N]: 0 where row i's token may look, a very negative number elsewhere. */
  readonly mask: Float32Array;
  /** Packed index of the token before each trained one: where its logits are taken. */
  readonly predictors: BigInt64Array;
  readonly labels: BigInt64Array;
  readonly longestRow: number;
}

/** Far below any score, and finite, so that it cannot turn into NaN. */
const MASKED = -1e9;

/** Throws RangeError when a row is empty or no token of the batch is trained. */
export function packRows(rows: readonly TrainingRow[]): PackedBatch {
  const count = rows.reduce((sum, row) => sum + row.tokens.length, 0);
  const mask = new Float32Array(count * count).fill(MASKED);
  const tokens = new BigInt64Array(count);
  const positions = new BigInt64Array(count);
  const predictors: bigint[] = [];
  const labels: bigint[] = [];
  let start = 0;
  let longestRow = 0;
  for (const row of rows) {
    const length = row.tokens.length;
    if (length === 0) throw new RangeError('a row has no tokens');
    longestRow = Math.max(longestRow, length);
    for (let i = 0; i < length; i += 1) {
      const token = BigInt(row.tokens[i] ?? 0);
      tokens[start + i] = token;
      positions[start + i] = BigInt(i);
      mask.fill(0, (start + i) * count + start, (start + i) * count + start + i + 1);
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
    mask,
    predictors: BigInt64Array.from(predictors),
    labels: BigInt64Array.from(labels),
    longestRow,
  };
}

/** The batch's mask for layers whose tokens see `window` positions, their own included. */
export function slidingMask({ mask, positions }: PackedBatch, window: number): Float32Array {
  const count = positions.length;
  const result = mask.slice();
  positions.forEach((position, i) => {
    const first = i * count + i - Number(position);
    result.fill(MASKED, first, Math.max(first, i * count + i - window + 1));
  });
  return result;
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

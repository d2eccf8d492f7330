import { elementsOf, viewOf } from '../model/trained-parameters.js';
import type { TrainedTensor } from '../model/trained-parameters.js';
import type { Optimiser, OptimiserState, RateShare } from './optimiser.js';
import { isDecayed } from './weight-decay.js';

/** Keeps what was never moved from being divided by zero. */
const SQUARE_MIN = 1e-30;
const DECAY = -0.8;

interface Factored {
  readonly tensor: TrainedTensor;
  /** Means of the squared gradients: of a matrix by row and by column, of a vector one by one. */
  readonly rows: Float32Array;
  readonly columns: Float32Array;
  readonly rateShare: number;
}

/** Adafactor (Shazeer and Stern 2018) with the rate that it is given, without first moments. */
export class Adafactor implements Optimiser {
  step = 0;
  readonly state: OptimiserState;
  private readonly parts: readonly Factored[];

  constructor(
    private readonly settings: { readonly weightDecay: number },
    tensors: readonly TrainedTensor[],
    rateShare: RateShare = () => 1,
  ) {
    const sizes = tensors.map(({ shape }) => ({
      rows: shape[0] ?? 1,
      columns: shape.length === 2 ? (shape[1] ?? 1) : 0,
    }));
    const total = (side: 'rows' | 'columns'): number => sizes.reduce((sum, size) => sum + size[side], 0);
    const [rows, columns] = [new Float32Array(total('rows')), new Float32Array(total('columns'))];
    let [row, column] = [0, 0];
    this.parts = tensors.map((tensor, i) => {
      const size = sizes[i] ?? { rows: 0, columns: 0 };
      [row, column] = [row + size.rows, column + size.columns];
      return {
        tensor,
        rows: rows.subarray(row - size.rows, row),
        columns: columns.subarray(column - size.columns, column),
        rateShare: rateShare(tensor),
      };
    });
    this.state = new Map([
      ['mean_squares_of_rows', rows],
      ['mean_squares_of_columns', columns],
    ]);
  }

  update(values: Float32Array, gradients: Float32Array, learningRate: number, gradientScale = 1): void {
    this.step += 1;
    const kept = 1 - this.step ** DECAY;
    for (const part of this.parts) {
      const [own, gradient] = [viewOf(values, part.tensor), viewOf(gradients, part.tensor)];
      follow(part, gradient, gradientScale, kept);
      const factors = factorsOf(part);
      const rate = learningRate * part.rateShare;
      const keep = isDecayed(part.tensor) ? 1 - rate * this.settings.weightDecay : 1;
      move(own, gradient, gradientScale, factors, rate, keep);
    }
  }
}

function move(
  values: Float32Array,
  gradient: Float32Array,
  scale: number,
  { rows, columns }: { readonly rows: Float64Array; readonly columns: Float64Array },
  rate: number,
  keep: number,
): void {
  const width = columns.length;
  const updateAt = (i: number): number => {
    const g = (gradient[i] ?? 0) * scale;
    return width === 0 ? g * (rows[i] ?? 0) : g * (rows[Math.floor(i / width)] ?? 0) * (columns[i % width] ?? 0);
  };
  let square = 0;
  for (let i = 0; i < values.length; i += 1) square += updateAt(i) ** 2;
  const step = rate / Math.max(1, Math.sqrt(square / values.length));
  for (let i = 0; i < values.length; i += 1) values[i] = (values[i] ?? 0) * keep - step * updateAt(i);
}

function follow({ rows, columns, tensor }: Factored, gradient: Float32Array, scale: number, kept: number): void {
  const width = elementsOf(tensor.shape) / rows.length;
  const byColumn = new Float64Array(columns.length);
  for (let row = 0; row < rows.length; row += 1) {
    let sum = 0;
    for (let column = 0; column < width; column += 1) {
      const square = ((gradient[row * width + column] ?? 0) * scale) ** 2 + SQUARE_MIN;
      sum += square;
      if (columns.length > 0) byColumn[column] = (byColumn[column] ?? 0) + square;
    }
    rows[row] = kept * (rows[row] ?? 0) + (1 - kept) * (sum / width);
  }
  byColumn.forEach((sum, column) => {
    columns[column] = kept * (columns[column] ?? 0) + (1 - kept) * (sum / rows.length);
  });
}

/** By what gradients are multiplied. */
function factorsOf({ rows, columns }: Factored): { rows: Float64Array; columns: Float64Array } {
  const mean = columns.length === 0 ? 1 : rows.reduce((a, b) => a + b, 0) / rows.length;
  return {
    rows: Float64Array.from(rows, (value) => 1 / Math.sqrt(value / mean)),
    columns: Float64Array.from(columns, (value) => 1 / Math.sqrt(value)),
  };
}

/** A matrix [out, in] as 8-bit integers with a scale for each output: value = scale * integer. */
export interface QuantisedRows {
  readonly values: Int8Array;
  readonly scales: Float32Array;
}

/** Name of the scales of a weight. */
export const scalesOf = (weight: string): string => `${weight}_scale`;

const LARGEST = 127;

/** Symmetric and to the nearest: the largest number of each row becomes 127 or -127, a row of zeros stays one. */
export function quantiseRows(matrix: Float32Array, rows: number): QuantisedRows {
  const inner = matrix.length / rows;
  const values = new Int8Array(matrix.length);
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row += 1) {
    const [start, end] = [row * inner, (row + 1) * inner];
    let largest = 0;
    for (let i = start; i < end; i += 1) largest = Math.max(largest, Math.abs(matrix[i] ?? 0));
    scales[row] = largest / LARGEST;
    const factor = largest === 0 ? 0 : LARGEST / largest;
    for (let i = start; i < end; i += 1) values[i] = Math.round((matrix[i] ?? 0) * factor);
  }
  return { values, scales };
}

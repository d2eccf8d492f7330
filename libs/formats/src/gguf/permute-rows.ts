/** Rows from Hugging Face order (head, half, i) to GGUF order (head, i, half). `rows` holds whole heads. */
export function permuteRows(rows: Float32Array, headDim: number, columns: number): Float32Array {
  return moveRows(rows, headDim, columns, (half, i) => [half * (headDim / 2) + i, i * 2 + half]);
}

/** The reverse of permuteRows. */
export function unpermuteRows(rows: Float32Array, headDim: number, columns: number): Float32Array {
  return moveRows(rows, headDim, columns, (half, i) => [i * 2 + half, half * (headDim / 2) + i]);
}

function moveRows(
  rows: Float32Array,
  headDim: number,
  columns: number,
  map: (half: number, i: number) => [from: number, to: number],
): Float32Array {
  const result = new Float32Array(rows.length);
  const heads = rows.length / (headDim * columns);
  for (let head = 0; head < heads; head += 1) {
    for (let half = 0; half < 2; half += 1) {
      for (let i = 0; i < headDim / 2; i += 1) {
        const [from, to] = map(half, i);
        const source = (head * headDim + from) * columns;
        result.set(rows.subarray(source, source + columns), (head * headDim + to) * columns);
      }
    }
  }
  return result;
}

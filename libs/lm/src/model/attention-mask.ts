/** Far below any score, and finite, so that it cannot turn into NaN. */
const MASKED = -1e9;

/**
 * Additive, [end - start, end]: 0 where the positions from `start` to `end` may look (themselves and what precedes them,
 * `window` positions at most), a very negative number elsewhere. Rows are padded behind their end only, so that one mask
 * serves rows of every length: what is padding is later than every token, and what padding itself sees is thrown away.
 */
export function causalMask(start: number, end: number, window = end): Float32Array {
  const mask = new Float32Array((end - start) * end).fill(MASKED);
  for (let i = start; i < end; i += 1) {
    const row = (i - start) * end;
    mask.fill(0, row + Math.max(0, i - window + 1), row + i + 1);
  }
  return mask;
}

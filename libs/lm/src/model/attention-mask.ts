/** Far below any score, and finite, so that it cannot turn into NaN. */
const MASKED = -1e9;

/**
 * Additive, [length, length]: 0 where position i may look (itself and what precedes it, `window` positions at most), a
 * very negative number elsewhere. Rows are padded behind their end only, so that one mask serves rows of every length:
 * what is padding is later than every token, and what padding itself sees is thrown away.
 */
export function causalMask(length: number, window = length): Float32Array {
  const mask = new Float32Array(length * length).fill(MASKED);
  for (let i = 0; i < length; i += 1) mask.fill(0, i * length + Math.max(0, i - window + 1), i * length + i + 1);
  return mask;
}

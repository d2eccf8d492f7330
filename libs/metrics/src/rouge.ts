import { rougeTokens } from './normalise.js';

/** Length of the longest common subsequence; memory grows with the shorter list only. */
export function longestCommonSubsequence(a: readonly string[], b: readonly string[]): number {
  const [long, short] = a.length >= b.length ? [a, b] : [b, a];
  const row = new Uint32Array(short.length + 1);
  for (const item of long) {
    let diagonal = 0;
    for (let i = 1; i <= short.length; i += 1) {
      const above = row[i] ?? 0;
      row[i] = item === short[i - 1] ? diagonal + 1 : Math.max(above, row[i - 1] ?? 0);
      diagonal = above;
    }
  }
  return row[short.length] ?? 0;
}

/** ROUGE-L F1 from 0 to 1: words, single characters for Chinese, Japanese and Korean. Two empty texts are equal. */
export function rougeL(answer: string, reference: string): number {
  const a = rougeTokens(answer);
  const b = rougeTokens(reference);
  if (a.length === 0 || b.length === 0) return a.length === b.length ? 1 : 0;
  return (2 * longestCommonSubsequence(a, b)) / (a.length + b.length);
}

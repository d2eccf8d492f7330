import { RandomStream } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import type { Row } from '../inputs/global-batches.js';

/**
 * NEFTune (Jain et al. 2023): uniform noise up to alpha / sqrt(tokens of the row x hidden size) for the embeddings
 * [N, H] of packed rows. A row's noise depends on the seed, the step and the row alone, not on what it is packed with.
 */
export function embeddingNoise(
  { seed, hyperparameters }: RuntimeSpec,
  step: number,
  rows: readonly Row[],
  hiddenSize: number,
): Float32Array | undefined {
  const alpha = hyperparameters.neftuneNoiseAlpha;
  if (alpha === undefined) return undefined;
  const tokens = rows.reduce((sum, row) => sum + row.tokens.length, 0);
  const noise = new Float32Array(tokens * hiddenSize);
  let start = 0;
  for (const row of rows) {
    const count = row.tokens.length * hiddenSize;
    const most = alpha / Math.sqrt(count);
    const uniform = new RandomStream(seed, `neftune/${step}/${row.number}`).uniform(count);
    for (let i = 0; i < count; i += 1) noise[start + i] = ((uniform[i] ?? 0) * 2 - 1) * most;
    start += count;
  }
  return noise;
}

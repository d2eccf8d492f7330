import type { Score } from '@luthier/contracts';
import type { PreparedDataset } from '@luthier/formats';
import { microBatches, packRows, rowLength, trainedCount } from '@luthier/lm';
import type { TrainingEngine, TrainingRow } from '@luthier/lm';

export interface ScoreRowsOptions {
  readonly engine: TrainingEngine;
  readonly dataset: PreparedDataset;
  readonly useAdapter: boolean;
  readonly tokenBudget: number;
  /** Called after every micro-batch; throws to leave. */
  readonly between: () => void;
}

const CHUNK_ROWS = 64;

/** Mean loss, perplexity and token accuracy over the trained tokens of all rows, in stored order. */
export async function scoreRows({
  engine,
  dataset,
  useAdapter,
  tokenBudget,
  between,
}: ScoreRowsOptions): Promise<Score> {
  let lossSum = 0;
  let correct = 0;
  let trainedTokens = 0;
  for (let start = 0; start < dataset.rows; start += CHUNK_ROWS) {
    const chunk: TrainingRow[] = [];
    for (let i = start; i < Math.min(dataset.rows, start + CHUNK_ROWS); i += 1) {
      const row = await dataset.row(i);
      if (trainedCount(row) > 0) chunk.push(row);
    }
    for (const rows of microBatches(chunk, tokenBudget, rowLength)) {
      const found = await engine.score(packRows(rows), useAdapter);
      for (const loss of found.losses) lossSum += loss;
      correct += found.correct;
      trainedTokens += found.losses.length;
      between();
    }
  }
  const loss = lossSum / Math.max(1, trainedTokens);
  return {
    rows: dataset.rows,
    trainedTokens,
    loss,
    perplexity: Math.exp(loss),
    tokenAccuracy: correct / Math.max(1, trainedTokens),
  };
}

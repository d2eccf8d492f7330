import { RandomStream } from '@luthier/contracts';

/** Number of general rows that make up `share` of the result beside `mainRows`, at most all that there are. */
export function mixedRowCount(mainRows: number, share: number, available: number): number {
  return Math.min(available, Math.round((share / (1 - share)) * mainRows));
}

/** Which of `available` rows are taken: the first `count` when sorted by pair `row` of stream (seed, `general-mix`). */
export function pickRows(available: number, count: number, seed: number): Set<number> {
  const stream = new RandomStream(seed, 'general-mix');
  const keys = Array.from({ length: available }, (_, row) => ({ row, pair: stream.pair(row) }));
  keys.sort((a, b) => a.pair[0] - b.pair[0] || a.pair[1] - b.pair[1] || a.row - b.row);
  return new Set(keys.slice(0, count).map(({ row }) => row));
}

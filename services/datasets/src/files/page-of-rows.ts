import { setImmediate } from 'node:timers/promises';
import { ROWS_PAGE_BYTES_MAX } from '@luthier/contracts';
import type { DatasetRow, readRows, ResponseOf } from '@luthier/contracts';
import { conversationOf, readTrainingRows } from '@luthier/formats';
import type { FileRow } from '@luthier/formats';

/** How long other requests wait at most while a far page of a large file is looked for. */
const SLICE_MS = 10;

type RowsPage = Omit<ResponseOf<typeof readRows>, 'total'>;

/** Usable rows from `offset` on, at most `limit` and as many as fit into a message; see `readRows` for rows left out. */
export async function pageOfRows(content: AsyncIterable<Uint8Array>, offset: number, limit: number): Promise<RowsPage> {
  const rows: DatasetRow[] = [];
  let passed = 0;
  let bytes = 0;
  let sliceBeganMs = performance.now();
  for await (const { row, line } of readTrainingRows(content)) {
    if (performance.now() - sliceBeganMs > SLICE_MS) {
      await setImmediate();
      sliceBeganMs = performance.now();
    }
    if (!row) continue;
    if (passed >= offset) {
      const usable = toDatasetRow(row, line);
      const rowBytes = Buffer.byteLength(JSON.stringify(usable)) + 1;
      if (rowBytes <= ROWS_PAGE_BYTES_MAX) {
        if (bytes + rowBytes > ROWS_PAGE_BYTES_MAX) break;
        bytes += rowBytes;
        rows.push(usable);
      }
    }
    passed += 1;
    if (rows.length >= limit) break;
  }
  return { rows, nextOffset: Math.max(passed, offset) };
}

const toDatasetRow = (row: NonNullable<FileRow['row']>, line: number): DatasetRow => ({
  line,
  messages: conversationOf(row).map(({ role, content }) => ({ role, content })),
  ...(row.kind === 'pairs' && { rejected: row.rejected }),
  ...(row.kind === 'ratings' && { desirable: row.desirable }),
  ...(row.kind === 'text' && { text: row.text }),
  ...(row.kind === 'prompts' && { item: row.item }),
  facts: [...(row.facts ?? [])],
  suite: row.suite ?? null,
});

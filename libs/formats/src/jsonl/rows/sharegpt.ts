import type { RowFormatReader } from '../row-format.js';
import { readShareGptTurns } from '../turns.js';

/** `conversations` with `from` and `value`. */
export const shareGpt: RowFormatReader = {
  format: 'sharegpt',
  fields: ['conversations'],
  read(row, _kind, build) {
    build.add('system', build.text(row, 'system', 'system', { optional: true }));
    readShareGptTurns(row['conversations'], 'conversations', build);
    return undefined;
  },
};

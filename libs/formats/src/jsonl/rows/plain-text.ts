import type { RowFormatReader } from '../row-format.js';

/** Plain text, to read on in. Its one field stands beside those of other formats, too: it counts where there is no other. */
export const plainText: RowFormatReader = { format: 'text', fields: ['text'], read: () => undefined };

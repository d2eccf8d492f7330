import type { ExportFormat } from '@luthier/contracts';

/** What has to be made first, in place of being there. */
export type MadeFormat = Exclude<ExportFormat, 'adapter'>;

/** How matrices are stored in each kind of GGUF file. */
export const GGUF_TYPES = { gguf: 'BF16', 'gguf-f16': 'F16', 'gguf-q8_0': 'Q8_0' } as const satisfies Partial<
  Record<MadeFormat, string>
>;

export const GGUF_FILE = 'model.gguf';

export interface ExportInput {
  /** A whole model, or the base that the adapter is merged into. */
  readonly modelDir: string;
  readonly adapterDir: string | null;
  readonly format: MadeFormat;
  /** Empty folders: for the result, and for a merged model on the way to it. */
  readonly outDir: string;
  readonly mergedDir: string;
}

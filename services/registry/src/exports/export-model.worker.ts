import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@luthier/contracts';
import { huggingFaceToGguf, isFormatError, mergePeftAdapter } from '@luthier/formats';
import { runInWorker } from '@luthier/service-kit/worker';

/** What has to be made first, in place of being there. */
export type MadeFormat = 'safetensors' | 'gguf';

export interface ExportInput {
  /** A whole model, or the base that the adapter is merged into. */
  readonly modelDir: string;
  readonly adapterDir: string | null;
  readonly format: MadeFormat;
  /** Empty folders: for the result, and for what is made on the way. */
  readonly outDir: string;
  readonly scratchDir: string;
}

async function makeExport({ modelDir, adapterDir, format, outDir, scratchDir }: ExportInput): Promise<null> {
  const mergedDir = format === 'safetensors' ? outDir : join(scratchDir, 'merged');
  if (adapterDir !== null) {
    await mkdir(mergedDir, { recursive: true });
    await mergePeftAdapter({ modelDir, adapterDir, outDir: mergedDir });
  }
  if (format === 'gguf') {
    const wholeDir = adapterDir === null ? modelDir : mergedDir;
    await huggingFaceToGguf({ modelDir: wholeDir, ggufPath: join(outDir, 'model.gguf'), type: 'BF16' });
  }
  return null;
}

runInWorker<ExportInput, null>(makeExport, (thrown) =>
  isFormatError(thrown) ? new AppError('model.unreadable', thrown.message, { cause: thrown }) : AppError.from(thrown),
);

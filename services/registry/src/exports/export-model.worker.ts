import { join } from 'node:path';
import { AppError } from '@luthier/contracts';
import { huggingFaceToGguf, isFormatError, mergePeftAdapter } from '@luthier/formats';
import { runInWorker } from '@luthier/service-kit/worker';
import { GGUF_FILE, GGUF_TYPES } from './made-format.js';
import type { ExportInput } from './made-format.js';

async function makeExport({ modelDir, adapterDir, format, outDir, mergedDir }: ExportInput): Promise<null> {
  const wholeDir = format === 'safetensors' ? outDir : mergedDir;
  if (adapterDir !== null) await mergePeftAdapter({ modelDir, adapterDir, outDir: wholeDir });
  if (format === 'safetensors') return null;
  await huggingFaceToGguf({
    modelDir: adapterDir === null ? modelDir : wholeDir,
    ggufPath: join(outDir, GGUF_FILE),
    type: GGUF_TYPES[format],
  });
  return null;
}

runInWorker<ExportInput, null>(makeExport, (thrown) =>
  isFormatError(thrown) ? new AppError('model.unreadable', thrown.message, { cause: thrown }) : AppError.from(thrown),
);

import { join } from 'node:path';
import { huggingFaceToGguf, mergePeftAdapter } from '@luthier/formats';
import { runInWorker } from '@luthier/service-kit/worker';
import { modelError } from '../models/model-error.js';
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

runInWorker<ExportInput, null>(makeExport, modelError);

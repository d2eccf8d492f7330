import { ggufToHuggingFace } from '@luthier/formats';
import { runInWorker } from '@luthier/service-kit/worker';
import { modelError } from '../models/model-error.js';

export interface ConvertInput {
  readonly ggufPath: string;
  readonly outDir: string;
}

runInWorker<ConvertInput, null>(async (input) => {
  await ggufToHuggingFace(input);
  return null;
}, modelError);

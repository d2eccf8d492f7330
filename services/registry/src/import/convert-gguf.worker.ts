import { AppError } from '@luthier/contracts';
import { ggufToHuggingFace, isFormatError } from '@luthier/formats';
import { runInWorker } from '@luthier/service-kit/worker';

export interface ConvertInput {
  readonly ggufPath: string;
  readonly outDir: string;
}

runInWorker<ConvertInput, null>(
  async (input) => {
    await ggufToHuggingFace(input);
    return null;
  },
  (thrown) =>
    isFormatError(thrown) ? new AppError('model.unreadable', thrown.message, { cause: thrown }) : AppError.from(thrown),
);

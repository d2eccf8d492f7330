import { AppError } from '@luthier/contracts';
import { openArtifactStore } from '@luthier/artifacts';
import { isFormatError } from '@luthier/formats';
import { runInWorker } from '@luthier/service-kit/worker';
import { TextError } from '@luthier/text';
import type { PreparationOrder } from './preparation-order.js';
import { prepareDataset } from './prepare-dataset.js';
import type { PreparedFields } from './prepare-dataset.js';

export interface PreparationInput {
  readonly artifactsUrl: string;
  readonly tempDir: string;
  readonly datasetId: string;
  readonly order: PreparationOrder;
}

runInWorker<PreparationInput, PreparedFields>(
  async ({ artifactsUrl, ...options }) => prepareDataset({ store: await openArtifactStore(artifactsUrl), ...options }),
  (thrown) => {
    if (thrown instanceof TextError) return new AppError('model.unreadable', thrown.message, { cause: thrown });
    if (isFormatError(thrown)) return new AppError('data.bad', thrown.message, { cause: thrown });
    return AppError.from(thrown);
  },
);

import type { ValidationReport } from '@luthier/contracts';
import { FileArtifactStore } from '@luthier/artifacts';
import { runInWorker } from '@luthier/service-kit/worker';
import { validateRows } from './validate-rows.js';

export interface ValidationInput {
  readonly artifactsDir: string;
  readonly fileId: string;
  readonly uri: string;
}

runInWorker<ValidationInput, ValidationReport>(async ({ artifactsDir, fileId, uri }) =>
  validateRows(fileId, await new FileArtifactStore(artifactsDir).get(uri)),
);

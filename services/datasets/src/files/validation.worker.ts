import type { ValidationReport } from '@luthier/contracts';
import { openArtifactStore } from '@luthier/artifacts';
import { runInWorker } from '@luthier/service-kit/worker';
import { validateRows } from './validate-rows.js';

export interface ValidationInput {
  readonly artifactsUrl: string;
  readonly fileId: string;
  readonly uri: string;
}

runInWorker<ValidationInput, ValidationReport>(async ({ artifactsUrl, fileId, uri }) => {
  const store = await openArtifactStore(artifactsUrl);
  return validateRows(fileId, await store.get(uri));
});

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { FileArtifactStore, LocalFolders } from '@luthier/artifacts';
import { AppError, newId } from '@luthier/contracts';
import type { ModelRecord } from '@luthier/contracts';
import { tempDir } from '@luthier/testing';
import { writeTinyChatModel } from '../../../../test/fixtures/tiny-llama.js';
import { putModelFolder } from '../models/model-folder.js';
import type { ModelsService } from '../models/models.service.js';
import { ExportsService } from './exports.service.js';

it('leaves nothing of a model that is deleted while it is exported, neither stored nor on the way', async () => {
  const [dir, stored, workDir] = [await tempDir('model'), await tempDir('stored'), await tempDir('work')];
  await writeTinyChatModel(dir);
  const artifacts = new FileArtifactStore(stored);
  const id = newId('model');
  const { signal } = new AbortController();
  const { uri, sha256 } = await putModelFolder(artifacts, dir, `artifact://models/${id}/weights`, signal);
  const files = { form: 'whole', weights: { uri, sha256 } };
  const model = { id, name: 'one', state: 'ready', gives: 'answers', files } as unknown as ModelRecord;
  const models = {
    getWithBase: () => Promise.resolve({ model, base: null }),
    get: () => Promise.reject(new AppError('model.not-found')),
  } as unknown as ModelsService;
  const folders = new LocalFolders(artifacts, { cacheDir: workDir, maxSizeBytes: 2 ** 30 });
  const exports = new ExportsService(models, artifacts, folders, workDir, { memoryMib: 1, timeoutMs: 1 }, 60_000);

  await expect(exports.export('one', 'gguf')).rejects.toMatchObject({ code: 'model.not-found' });
  expect((await artifacts.list(`artifact://models/${id}`)).items.map((item) => item.uri)).toEqual(
    (await artifacts.list(uri)).items.map((item) => item.uri),
  );
  expect(await readdir(join(workDir, 'exports'))).toEqual([]);
});

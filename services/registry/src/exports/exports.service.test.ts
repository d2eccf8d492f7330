import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { AppError, newId } from '@luthier/contracts';
import type { ModelRecord } from '@luthier/contracts';
import { FileArtifactStore, LocalFolders } from '@luthier/artifacts';
import { tempDir } from '@luthier/testing';
import type { ModelsService } from '../models/models.service.js';
import { ExportsService } from './exports.service.js';

/** Folders that are asked for end with this, after a while. */
class NoFolders extends LocalFolders {
  asked = 0;
  override async use<T>(): Promise<T> {
    this.asked += 1;
    await pause(1);
    throw new AppError('model.unreadable', `Try ${this.asked}`);
  }
}

it('tells once why an export failed, also where nobody waited for it, and begins anew after that', async () => {
  const dir = await tempDir('exports');
  const artifacts = new FileArtifactStore(dir);
  const folders = new NoFolders(artifacts, { cacheDir: dir, maxSizeBytes: 1 });
  const files = { form: 'whole' as const, weights: { uri: 'artifact://models/one/weights', sha256: '0'.repeat(64) } };
  const model = { id: newId('model'), name: 'one', state: 'ready', gives: 'answers', files } as unknown as ModelRecord;
  const models = { getWithBase: () => Promise.resolve({ model, base: null }) } as unknown as ModelsService;
  const exports = new ExportsService(models, artifacts, folders, dir, { memoryMib: 1, timeoutMs: 1 }, 0);

  expect(await exports.export('one', 'gguf')).toMatchObject({ state: 'making' });
  await exports.onApplicationShutdown();
  await expect(exports.export('one', 'gguf')).rejects.toMatchObject({ message: 'Try 1' });
  expect(folders.asked).toBe(1);
  expect(await exports.export('one', 'gguf')).toMatchObject({ state: 'making' });
  await exports.onApplicationShutdown();
  await expect(exports.export('one', 'gguf')).rejects.toMatchObject({ message: 'Try 2' });
});

import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { AppError, newId } from '@luthier/contracts';
import type { ExportFormat, ModelRecord } from '@luthier/contracts';
import { FileArtifactStore, LocalFolders } from '@luthier/artifacts';
import { tempDir } from '@luthier/testing';
import type { ModelsService } from '../models/models.service.js';
import { ExportsService } from './exports.service.js';

/** Folders that are asked for end with this, after a while. */
class NoFolders extends LocalFolders {
  asked = 0;
  private underWay = 0;
  mostUnderWay = 0;
  override async use<T>(): Promise<T> {
    this.asked += 1;
    this.underWay += 1;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    await pause(1);
    this.underWay -= 1;
    throw new AppError('model.unreadable', `Try ${this.asked}`);
  }
}

const files = { form: 'whole' as const, weights: { uri: 'artifact://models/one/weights', sha256: '0'.repeat(64) } };
const model = { id: newId('model'), name: 'one', state: 'ready', gives: 'answers', files } as unknown as ModelRecord;

async function openExports(): Promise<{ dir: string; exports: ExportsService; folders: NoFolders }> {
  const dir = await tempDir('exports');
  const artifacts = new FileArtifactStore(dir);
  const folders = new NoFolders(artifacts, { cacheDir: dir, maxSizeBytes: 1 });
  const models = { getWithBase: () => Promise.resolve({ model, base: null }) } as unknown as ModelsService;
  const exports = new ExportsService(models, artifacts, folders, dir, { memoryMib: 1, timeoutMs: 1 }, 0);
  return { dir, exports, folders };
}

/** Asks until the answer is an error, and gives back its message. */
async function failureOf(exports: ExportsService, format: ExportFormat): Promise<string> {
  for (;;) {
    const thrown = await exports.export('one', format).then(
      () => undefined,
      (error: Error) => error,
    );
    if (thrown) return thrown.message;
  }
}

it('tells once why an export failed, also where nobody waited for it, and begins anew after that', async () => {
  const { exports, folders } = await openExports();
  expect(await exports.export('one', 'gguf')).toMatchObject({ state: 'making' });
  expect(await failureOf(exports, 'gguf')).toBe('Try 1');
  expect(folders.asked).toBe(1);
  expect(await exports.export('one', 'gguf')).toMatchObject({ state: 'making' });
  expect(await failureOf(exports, 'gguf')).toBe('Try 2');
});

it('makes one export at a time, since each takes the memory of a model', async () => {
  const { exports, folders } = await openExports();
  const formats = ['gguf', 'gguf-f16', 'gguf-q8_0'] as const;
  const failures = await Promise.all(formats.map((format) => failureOf(exports, format)));
  expect(failures.toSorted()).toEqual(['Try 1', 'Try 2', 'Try 3']);
  expect(folders.mostUnderWay).toBe(1);
});

it('removes at its start what a killed process had not finished', async () => {
  const { dir, exports } = await openExports();
  const draft = join(dir, 'exports', 'model-gone-gguf', 'out');
  await mkdir(draft, { recursive: true });
  await writeFile(join(draft, 'model.gguf'), 'half');
  await exports.onApplicationBootstrap();
  expect(await readdir(dir)).not.toContain('exports');
});

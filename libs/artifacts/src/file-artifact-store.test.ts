import { mkdtemp, open, readFile, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { MeasuredContent } from './content.js';
import { storageError, writeAll } from './file-artifact-store.js';
import { FileArtifactStore, artifactStoreContract, artifactUri } from './index.js';

const dirs: string[] = [];
async function openStore(): Promise<FileArtifactStore> {
  const dir = await mkdtemp(join(tmpdir(), 'luthier-artifacts-'));
  dirs.push(dir);
  return new FileArtifactStore(dir);
}
afterEach(async () => {
  for (const dir of dirs.splice(0)) await rm(dir, { recursive: true, force: true });
});

artifactStoreContract('FileArtifactStore', openStore, {
  describe,
  it,
  equal: (actual, expected) => expect(actual).toEqual(expected),
});

describe('FileArtifactStore on disk', () => {
  it('says where the file is', async () => {
    const store = await openStore();
    const uri = artifactUri('models', 'model-1', 'weights/a.safetensors');
    await store.put(uri, 'x');
    expect(uri).toBe('artifact://models/model-1/weights/a.safetensors');
    expect(await readFile(store.localPath(uri), 'utf8')).toBe('x');
  });

  it('leaves no temporary file after a failed put', async () => {
    const store = await openStore();
    await expect(store.put('artifact://a/b/c', 'x', { expectedSha256: '0' })).rejects.toThrow('SHA-256');
    expect(await readdir(store.localPath('artifact://a/b'))).toEqual([]);
  });

  it('removes empty folders with their last artifact', async () => {
    const store = await openStore();
    await store.put('artifact://a/b/c/d', 'x');
    await store.remove('artifact://a/b/c/d');
    expect(await readdir(dirs[0] ?? '')).toEqual([]);
  });

  it('lists no symbolic link', async () => {
    const store = await openStore();
    await store.put('artifact://a/b/c', 'x');
    await symlink('/etc', store.localPath('artifact://a/b/link'));
    expect((await store.list('artifact://a/b')).items).toHaveLength(1);
  });

  it('answers disk.full when the device is', async () => {
    const full = await open('/dev/full', 'w');
    try {
      const written = writeAll(full, new MeasuredContent('x', {})).catch((cause: unknown) => {
        throw storageError('u', cause);
      });
      await expect(written).rejects.toMatchObject({ code: 'disk.full' });
    } finally {
      await full.close();
    }
  });
});

import { mkdir, mkdtemp, open, readFile, readdir, rm, rmdir, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
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

  it('lists what is there while others remove what they have stored', async () => {
    const store = await openStore();
    const kept = artifactUri('runs', 'r', 'outcome.json');
    await store.put(kept, 'x');
    const folders = Array.from({ length: 20 }, (_, n) => store.localPath(artifactUri('runs', 'r', `step-${n}`)));
    for (let round = 0; round < 100; round += 1) {
      await Promise.all(folders.map((folder) => mkdir(folder)));
      const removed = folders.map((folder) => rmdir(folder));
      const { items } = await store.list('artifact://runs/r');
      await Promise.all(removed);
      expect(items.map(({ uri }) => uri)).toEqual([kept]);
    }
  });

  it('stores what comes while the last of its neighbours is removed', async () => {
    const store = await openStore();
    for (let round = 0; round < 100; round += 1) {
      const old = artifactUri('files', 'a', 'old');
      await store.put(old, 'x');
      const removed = store.remove(old);
      // Looks at the moments one after the other.
      for (let turn = 0; turn < round % 12; turn += 1) await nextTurn();
      const stored = await store.put(artifactUri('files', 'a', 'new'), 'x');
      await removed;
      expect(await store.stat(stored.uri)).toMatchObject({ sizeBytes: 1 });
      await store.remove(stored.uri);
    }
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

import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { ArtifactRef } from '@luthier/contracts';
import { tempDir } from '@luthier/testing';
import { FileArtifactStore, LocalFolders } from './index.js';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** As a store elsewhere: its files have no place on this machine. */
class DistantStore extends FileArtifactStore {
  reads: string[] = [];
  override urlFor(uri: string): Promise<string> {
    return Promise.resolve(`https://store.example.test/${uri}`);
  }
  override get(uri: string): ReturnType<FileArtifactStore['get']> {
    this.reads.push(uri.split('/').at(-1) ?? '');
    return super.get(uri);
  }
}

describe('folders of a store elsewhere', () => {
  let store: DistantStore;
  let cacheDir: string;
  let folders: LocalFolders;
  const stored = async (id: string, content: string, announced = content): Promise<ArtifactRef> => {
    const uri = `artifact://models/${id}/weights`;
    await store.put(`${uri}/part/weights.bin`, content);
    const file = { name: 'part/weights.bin', sizeBytes: announced.length, sha256: sha256(announced) };
    const manifest = JSON.stringify({ version: 1, files: [file] });
    await store.put(`${uri}/artifact-manifest.json`, manifest);
    return { uri, sha256: sha256(manifest) };
  };
  const contentOf = (dir: string): Promise<string> => readFile(join(dir, 'part/weights.bin'), 'utf8');
  const fetched = (): number => store.reads.filter((name) => name === 'weights.bin').length;

  beforeEach(async () => {
    store = new DistantStore(await tempDir('store'));
    cacheDir = await tempDir('cache');
    folders = new LocalFolders(store, { cacheDir, maxSizeBytes: 1_000 });
  });

  it('are copied once, whoever asks and also at the same time', async () => {
    const ref = await stored('model-1', 'abc');
    expect(await Promise.all([1, 2, 3].map(() => folders.use(ref, contentOf)))).toEqual(['abc', 'abc', 'abc']);
    const again = new LocalFolders(store, { cacheDir, maxSizeBytes: 1_000 });
    expect(await again.use(ref, contentOf)).toBe('abc');
    expect(fetched()).toBe(1);
  });

  it('leave nothing behind that is not what the reference names', async () => {
    const changed = await stored('model-1', 'abd', 'abc');
    const longer = await stored('model-2', 'abcd', 'abc');
    const other = { ...(await stored('model-3', 'abc')), sha256: sha256('another manifest') };
    for (const ref of [changed, longer, other]) {
      await expect(folders.use(ref, contentOf)).rejects.toMatchObject({ code: 'model.unreadable' });
    }
    expect(await readdir(cacheDir)).toEqual([]);
  });

  it('go when space is needed: those unused for longest, and none that is in use', async () => {
    const [first, second, third] = await Promise.all(
      ['1', '2', '3'].map((id) => stored(`model-${id}`, id.repeat(300))),
    );
    if (!first || !second || !third) throw new Error('not stored');
    await folders.use(first, contentOf);
    await folders.use(second, contentOf);
    await folders.use(first, async () => {
      await folders.use(third, contentOf); // does not fit beside both
      expect((await readdir(cacheDir)).sort()).toEqual([first.sha256, third.sha256].sort());
    });
  });

  it('are refused when they fit into no cache', async () => {
    const ref = await stored('model-1', 'x'.repeat(1_001));
    await expect(folders.use(ref, contentOf)).rejects.toMatchObject({ code: 'disk.full' });
  });

  it('are fetched anew where a killed process left a part', async () => {
    const ref = await stored('model-1', 'abc');
    await mkdir(join(cacheDir, `.draft-${ref.sha256}`, 'part'), { recursive: true });
    await writeFile(join(cacheDir, `.draft-${ref.sha256}`, 'part', 'weights.bin'), 'a');
    expect(await folders.use(ref, contentOf)).toBe('abc');
    expect(await readdir(cacheDir)).toEqual([ref.sha256]);
  });

  it('are used where they lie when the store has files here', async () => {
    const here = new FileArtifactStore(await tempDir('store'));
    await here.put('artifact://models/model-1/weights/part/weights.bin', 'abc');
    const ref = { uri: 'artifact://models/model-1/weights', sha256: sha256('any') };
    const dir = await new LocalFolders(here, { cacheDir, maxSizeBytes: 1 }).use(ref, (found) => Promise.resolve(found));
    expect(dir).toBe(here.localPath(ref.uri));
    expect(await readdir(cacheDir)).toEqual([]);
  });
});

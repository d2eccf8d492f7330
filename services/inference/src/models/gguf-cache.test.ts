import { describe, expect, it } from '@jest/globals';
import { readdir, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '@luthier/testing';
import { writeTinyChatModel } from '../../../../test/fixtures/tiny-llama.js';
import { GgufCache } from './gguf-cache.js';

describe('converted models', () => {
  it('take no more space than is allowed: those unused for longest go, never the one that is asked for', async () => {
    const home = await tempDir('gguf-cache');
    const modelDir = join(home, 'model');
    await writeTinyChatModel(modelDir);
    const dir = join(home, 'gguf');
    const make = (digit: string, maxSizeBytes: number): Promise<string> =>
      new GgufCache(dir, maxSizeBytes).base(modelDir, digit.repeat(64));
    const kept = async (): Promise<string[]> =>
      (await readdir(dir)).map((name) => /(.)\.gguf$/.exec(name)?.[1] ?? name).toSorted();

    const { size } = await stat(await make('a', 1));
    const room = 2 * size;
    await make('b', room);
    expect(await kept()).toEqual(['a', 'b']);
    const longAgo = Date.now() / 1_000 - 60;
    for (const name of await readdir(dir)) await utimes(join(dir, name), longAgo, longAgo);
    await make('a', room); // used again, so it is the newer one
    await make('c', room);
    expect(await kept()).toEqual(['a', 'c']);
    await make('d', 1);
    expect(await kept()).toEqual(['d']);
  });
});

import { expect, it } from '@jest/globals';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '@luthier/testing';
import { readRankEnds } from './rank-ends.js';

it('reads how ranks ended, and passes over what is not that', async () => {
  const dir = await tempDir('rank-ends');
  const found = async (text: string): Promise<unknown> => {
    await writeFile(join(dir, 'ranks.json'), text);
    return readRankEnds(dir);
  };
  try {
    expect(await readRankEnds(dir)).toBeUndefined();
    expect(await found('{"0":"SIGTERM","1":43}')).toEqual({ '0': 'SIGTERM', '1': 43 });
    for (const text of ['', '{"0":', '{"zero":1}', '{"0":[]}', 'null', `{"0":0${' '.repeat(70_000)}}`]) {
      expect(await found(text)).toBeUndefined();
    }
  } finally {
    await rm(dir, { recursive: true });
  }
});

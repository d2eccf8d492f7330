import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { formatModelConfig } from '@luthier/formats';
import { TINY_CHAT } from '../../../../test/fixtures/tiny-llama.js';
import { describeFailure } from '../failure.js';
import { modelOfFolder } from './model-of-folder.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'plan-'));
});
afterAll(async () => rm(dir, { recursive: true, force: true }));

describe('the model of a folder', () => {
  it.each([
    ['a folder that is not there', () => join(dir, 'none'), () => join(dir, 'none')],
    ['a folder without config.json', () => dir, () => join(dir, 'config.json')],
  ])('says of %s what is missing and what to do', async (_what, path, missing) => {
    const said = describeFailure(await modelOfFolder(path()).catch((thrown: unknown) => thrown));
    expect(said).toContain(`There is no ${missing()}`);
    expect(said).toContain('Name a Hugging Face folder');
    expect(said).not.toContain('ENOENT');
  });

  it('needs no weights, and is called after its folder also where its config.json is named', async () => {
    await writeFile(join(dir, 'config.json'), JSON.stringify(formatModelConfig(TINY_CHAT, 'bfloat16')));
    const found = await modelOfFolder(dir);
    expect(found.shape.parameters).toBeGreaterThan(0);
    expect(await modelOfFolder(join(dir, 'config.json'))).toEqual(found);
  });
});

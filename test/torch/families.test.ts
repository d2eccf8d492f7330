import { afterAll, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { configText, formatModelConfig, readModelConfig } from '@luthier/formats';
import { removeHome, tempDir } from '@luthier/testing';
import { FAMILIES, expectLikeTransformers, familyDir } from '../fixtures/families/family-fixture.js';
import { describeWithTorch, python } from './torch-environment.js';

const SCRIPT = join(import.meta.dirname, '../fixtures/families/make_families.py');
const LIMIT_MS = 120_000;
const run = promisify(execFile);

/** Fields of our `config.json` as transformers reads them against those of the original, where both have them. */
const COMPARE = `
import sys, json
from transformers import AutoConfig
for ours, theirs in zip(*[iter(sys.argv[1:])] * 2):
    a, b = (AutoConfig.from_pretrained(folder).to_dict() for folder in (ours, theirs))
    skipped = {"dtype", "_name_or_path", "transformers_version", "initializer_range", "max_window_layers"}
    names = [name for name in a.keys() & b.keys() if name not in skipped and not name.startswith("_")]
    print(json.dumps({name: [a[name], b[name]] for name in names if a[name] != b[name]}))
`;

describeWithTorch('families against a live PyTorch', () => {
  const homes: string[] = [];
  afterAll(() => Promise.all(homes.map(removeHome)));
  const folder = async (name: string): Promise<string> => {
    const dir = await tempDir(name);
    homes.push(dir);
    return dir;
  };

  it(
    'random sizes and weights of every family give the logits, loss and gradients of transformers and PEFT',
    async () => {
      const out = await folder('families');
      const seed = Math.floor(Math.random() * 1e6);
      await run(python ?? '', [SCRIPT, out, '--random-shapes', '--seed', String(seed)]);
      for (const family of FAMILIES) {
        for (const memoryMode of ['whole-step', 'layer-recompute'] as const) {
          await expectLikeTransformers(join(out, family), memoryMode).catch((cause: unknown) => {
            throw new Error(`${family}, ${memoryMode}, --seed ${seed}`, { cause });
          });
        }
      }
    },
    LIMIT_MS,
  );

  it(
    'a configuration that is written again is the same to transformers',
    async () => {
      const pairs: string[] = [];
      for (const family of FAMILIES) {
        const dir = await folder('config');
        const config = await readModelConfig(familyDir(family));
        await writeFile(join(dir, 'config.json'), configText(formatModelConfig(config)));
        pairs.push(dir, familyDir(family));
      }
      const { stdout } = await run(python ?? '', ['-c', COMPARE, ...pairs]);
      const differences = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown);
      expect(differences).toEqual(FAMILIES.map(() => ({})));
    },
    LIMIT_MS,
  );
});

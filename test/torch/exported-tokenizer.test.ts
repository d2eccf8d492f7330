import { expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ggufToHuggingFace, huggingFaceToGguf } from '@luthier/formats';
import { removeHome, tempDir } from '@luthier/testing';
import { loadTokenizer } from '@luthier/text';
import { writeTinyChatModel } from '../fixtures/tiny-llama.js';
import { describeWithTorch, python } from './torch-environment.js';

const SAID = 'hello:\n\n1. hell\n\n22 he';
const ENCODE = `
import json, sys
from transformers import AutoTokenizer
print(json.dumps(AutoTokenizer.from_pretrained(sys.argv[1]).encode(sys.argv[2], add_special_tokens=False)))
`;

/** The pair of letters that the model joins becomes two line breaks, which only a split at digits keeps together. */
async function joinLineBreaks(modelDir: string): Promise<void> {
  const path = join(modelDir, 'tokenizer.json');
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replaceAll('"l l"', '"Ċ Ċ"').replaceAll('"ll"', '"ĊĊ"'));
}

describeWithTorch('a model folder made from GGUF', () => {
  it('is tokenised by transformers as the platform does', async () => {
    const root = await tempDir('tokenizer');
    const [from, ggufPath, to] = [join(root, 'from'), join(root, 'model.gguf'), join(root, 'to')];
    await writeTinyChatModel(from);
    await joinLineBreaks(from);
    await huggingFaceToGguf({ modelDir: from, ggufPath, type: 'F32' });
    await ggufToHuggingFace({ ggufPath, outDir: to });
    const { stdout } = await promisify(execFile)(python ?? '', ['-c', ENCODE, to, SAID]);
    const ours = (await loadTokenizer(to)).encode(SAID);
    await removeHome(root);
    expect(JSON.parse(stdout)).toEqual([...ours]);
    expect(ours.length).toBeLessThan(SAID.length - 2);
  });
});

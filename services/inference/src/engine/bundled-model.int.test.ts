import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { huggingFaceToGguf } from '@luthier/formats';
import { tempDir } from '@luthier/testing';
import { loadChatTemplate, loadTokenizer } from '@luthier/text';
import type { ChatTemplate, TextTokenizer } from '@luthier/text';
import { LlamaEngine } from '@luthier/llama-cpp';

const MODEL_DIR = join(import.meta.dirname, '../../../registry/models/luthier-tiny-chat');

describe('the model that is bundled with the platform', () => {
  const engine = new LlamaEngine({ threads: 1, sequences: 4, contextTokens: 2048 });
  let basePath: string;
  let tokenizer: TextTokenizer;
  let template: ChatTemplate;

  beforeAll(async () => {
    basePath = join(await tempDir('bundled'), 'base.gguf');
    await huggingFaceToGguf({ modelDir: MODEL_DIR, ggufPath: basePath });
    tokenizer = await loadTokenizer(MODEL_DIR);
    template = await loadChatTemplate(MODEL_DIR);
  });
  afterAll(async () => {
    await template?.close();
    await engine.dispose();
  });

  it('answers what it was trained on and ends its turn', async () => {
    const asked = ['Hello!', 'Count to 5.', 'Name the capital of Japan.', '你好'];
    const prompts = await Promise.all(
      asked.map(async (content) =>
        Array.from(tokenizer.encode(await template.render([{ role: 'user', content }], { addGenerationPrompt: true }))),
      ),
    );
    const answers = await engine.generate({ basePath }, prompts, { maxTokens: 40, temperature: 0, topP: 1 });
    expect(answers.map(({ tokens }) => tokenizer.decode(tokens))).toEqual([
      'Hello! How can I help you?',
      '1, 2, 3, 4, 5.',
      'The capital of Japan is Tokyo.',
      '你好！有什么可以帮你？',
    ]);
    expect(answers.every(({ finishReason }) => finishReason === 'stop')).toBe(true);
  });
});

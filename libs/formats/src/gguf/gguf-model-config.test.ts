import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ggufModelConfig } from './gguf-model-config.js';
import { openGguf } from './read-gguf.js';
import { writeGguf } from './write-gguf.js';
import type { GgufEntry } from './write-gguf.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'config-'));
});
afterAll(async () => rm(dir, { recursive: true, force: true }));

it('takes what llama.cpp takes where an early file of Gemma 2 says nothing of windows and soft caps', async () => {
  const numbers = {
    block_count: 2,
    context_length: 8_192,
    embedding_length: 64,
    feed_forward_length: 96,
    'attention.head_count': 4,
    'attention.head_count_kv': 2,
    'attention.key_length': 16,
  };
  const metadata = new Map<string, GgufEntry>([
    ['general.architecture', { type: 'string', value: 'gemma2' }],
    ['gemma2.attention.layer_norm_rms_epsilon', { type: 'float32', value: 1e-6 }],
    ...Object.entries(numbers).map(([key, value]): [string, GgufEntry] => [`gemma2.${key}`, { type: 'uint32', value }]),
  ]);
  async function* data(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(8 * 64 * 4);
  }
  const path = join(dir, 'gemma2.gguf');
  await writeGguf(path, metadata, [{ name: 'token_embd.weight', type: 'F32', shape: [8, 64], data }]);
  expect(await ggufModelConfig(await openGguf(path))).toMatchObject({
    attentionSoftCap: 50,
    logitSoftCap: 30,
    slidingWindow: 4_096,
  });
});

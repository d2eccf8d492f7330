import { AppError } from '@luthier/contracts';
import { isFormatError } from '@luthier/formats';
import { LogitReader } from '@luthier/llama-cpp';
import { logitsAfter, openEngine } from '@luthier/lm';
import { runInChild } from '@luthier/service-kit/worker';
import { loadTokenizer } from '@luthier/text';
import type { TextTokenizer } from '@luthier/text';
import { Comparison } from './compare-logits.js';
import type { ParityInput, ParityResult } from './parity-input.js';
import { PARITY_TEXTS } from './parity-texts.js';

/** Logits of the source are kept until the export has been asked: the vocabulary decides for how many positions. */
const KEPT_BYTES_MAX = 96 * 1024 * 1024;
/** llama.cpp's logits cross into JavaScript sorted: about 0.1 s a position, which more of them would not be worth. */
const POSITIONS_MAX = 200;

interface Prompt {
  readonly text: string;
  readonly tokens: readonly number[];
}

/** Logits [tokens, vocabulary] of one prompt. */
type Read = (prompt: Prompt) => Promise<Float32Array>;

/** As many texts, and of each as many tokens, as their logits may take. */
function promptsOf(tokenizer: TextTokenizer): Prompt[] {
  const positions = Math.min(POSITIONS_MAX, Math.floor(KEPT_BYTES_MAX / 4 / tokenizer.vocabSize));
  const each = Math.max(2, Math.floor(positions / PARITY_TEXTS.length));
  return PARITY_TEXTS.map((text) => ({ text, tokens: Array.from(tokenizer.encode(text)).slice(0, each) }));
}

async function withFolder<T>(
  modelDir: string,
  adapterDir: string | null,
  work: (read: Read) => Promise<T>,
): Promise<T> {
  const engine = await openEngine({ modelDir, ...(adapterDir !== null && { adapterDir }) });
  try {
    return await work(({ tokens }) => logitsAfter(engine, tokens, adapterDir !== null));
  } finally {
    await engine.release();
  }
}

async function withGguf(
  path: string,
  tokenizer: TextTokenizer,
  work: (read: Read) => Promise<ParityResult>,
): Promise<ParityResult> {
  const reader = await LogitReader.open(path);
  try {
    const result = await work(async ({ tokens }) => joined(await reader.logits(tokens)));
    const other = PARITY_TEXTS.find(
      (text) => reader.tokenize(text).join() !== Array.from(tokenizer.encode(text)).join(),
    );
    return { ...result, splitOtherwise: other ?? null };
  } finally {
    await reader.dispose();
  }
}

function joined(rows: readonly Float32Array[]): Float32Array {
  const result = new Float32Array(rows.reduce((sum, row) => sum + row.length, 0));
  let at = 0;
  for (const row of rows) {
    result.set(row, at);
    at += row.length;
  }
  return result;
}

/** Source first, then export: only one of them is computed with at a time. */
async function checkParity({ sourceDir, adapterDir, exported }: ParityInput): Promise<ParityResult> {
  const tokenizer = await loadTokenizer(sourceDir);
  const prompts = promptsOf(tokenizer);
  const expected: Float32Array[] = [];
  await withFolder(sourceDir, adapterDir, async (read) => {
    for (const prompt of prompts) expected.push(await read(prompt));
  });
  const compare = async (read: Read): Promise<ParityResult> => {
    const comparison = new Comparison();
    for (const [i, prompt] of prompts.entries()) {
      const [source, other] = [expected[i] ?? new Float32Array(), await read(prompt)];
      const [wide, otherWide] = [source.length / prompt.tokens.length, other.length / prompt.tokens.length];
      for (let at = 0; at < prompt.tokens.length; at += 1)
        comparison.add(
          source.subarray(at * wide, (at + 1) * wide),
          other.subarray(at * otherWide, (at + 1) * otherWide),
        );
    }
    return { figures: comparison.figures, splitOtherwise: null };
  };
  return exported.kind === 'gguf'
    ? withGguf(exported.path, tokenizer, compare)
    : withFolder(exported.path, null, compare);
}

runInChild<ParityInput, ParityResult>(async (input) => {
  try {
    return await checkParity(input);
  } catch (thrown) {
    throw isFormatError(thrown) ? new AppError('model.unreadable', thrown.message, { cause: thrown }) : thrown;
  }
});

import { AppError } from '@luthier/contracts';
import type { Llama, LlamaModel, Token } from 'node-llama-cpp';
import { asAppError, loadLlama } from './load-llama.js';

export interface LogitReaderOptions {
  /** @default 1 */
  readonly threads?: number;
  /** GGUF LoRA to apply. */
  readonly adapterPath?: string;
}

/** What a GGUF model gives for tokens that are given to it: not to answer, but to compare it with another engine. */
export class LogitReader {
  private constructor(
    private readonly llama: Llama,
    private readonly model: LlamaModel,
    private readonly options: LogitReaderOptions,
  ) {}

  /** @throws AppError `model.unreadable` when llama.cpp refuses the file, `host.out-of-memory`. */
  static async open(ggufPath: string, options: LogitReaderOptions = {}): Promise<LogitReader> {
    const { threads = 1 } = options;
    const llama = await loadLlama(threads);
    try {
      return new LogitReader(llama, await llama.loadModel({ modelPath: ggufPath, gpuLayers: 0 }), options);
    } catch (cause) {
      await llama.dispose();
      throw asAppError(cause, `llama.cpp could not load the model: ${cause instanceof Error ? cause.message : ''}`);
    }
  }

  /** Ids of a text as llama.cpp splits it, with special tokens written in it, without one before it. */
  tokenize(text: string): number[] {
    return [...this.model.tokenize(text, true)];
  }

  /** Logits of what follows each of `tokens`, over the whole vocabulary, one after the other. */
  async logits(tokens: readonly number[]): Promise<Float32Array[]> {
    const contextSize = tokens.length + 1;
    const { threads = 1, adapterPath } = this.options;
    const context = await this.model.createContext({
      contextSize,
      sequences: 1,
      threads,
      ...(adapterPath !== undefined && { lora: { adapters: [{ filePath: adapterPath, scale: 1 }] } }),
    });
    try {
      // The library would leave 40 tokens, and divide by the temperature.
      const generateNext = { logits: true, options: { topK: 0, topP: 1, minP: 0, temperature: 1 } };
      const given = tokens.map((token): [Token, { generateNext: typeof generateNext }] => [
        token as Token,
        { generateNext },
      ]);
      const found = await context.getSequence().controlledEvaluate(given);
      return tokens.map((_, i) => dense(found[i]?.next.logits));
    } finally {
      await context.dispose();
    }
  }

  async dispose(): Promise<void> {
    await this.model.dispose();
    await this.llama.dispose();
  }
}

function dense(logits: ReadonlyMap<Token, number> | undefined): Float32Array {
  if (!logits) throw new AppError('internal', 'llama.cpp gave no logits.');
  const result = new Float32Array(logits.size);
  for (const [token, logit] of logits) result[token] = logit;
  return result;
}

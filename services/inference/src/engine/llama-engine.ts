import { AppError } from '@luthier/contracts';
import { LlamaLogLevel, getLlama } from 'node-llama-cpp';
import type { Llama, LlamaContext, LlamaContextSequence, LlamaModel, Token } from 'node-llama-cpp';

/** Files of one model as llama.cpp reads them. */
export interface GgufModel {
  basePath: string;
  /** GGUF LoRA; absent for a base model. */
  adapterPath?: string;
}

export interface TokenSampling {
  maxTokens: number;
  /** 0 is greedy. */
  temperature: number;
  topP: number;
  seed?: number;
}

export interface GeneratedTokens {
  tokens: number[];
  /** `stop`: the model ended its turn; `length`: the limit was reached. */
  finishReason: 'stop' | 'length';
}

interface OpenContext {
  context: LlamaContext;
  tokensPerSequence: number;
}

const CONTEXT_STEP = 256;

/**
 * One loaded base model with a context for it and one for its adapter: base and tuned answers come from the same
 * weights in memory. Not safe for concurrent use; the caller takes turns.
 */
export class LlamaEngine {
  private llama: Llama | undefined;
  private model: { path: string; handle: LlamaModel } | undefined;
  private readonly contexts = new Map<string, OpenContext>();

  constructor(private readonly options: { threads: number; sequences: number }) {}

  /**
   * Continues every prompt; they share one batch. Prompts and answers are token ids.
   * @throws AppError `model.unreadable` when llama.cpp refuses the files; `request.invalid` for a prompt that is too long.
   */
  async generate(model: GgufModel, prompts: readonly number[][], sampling: TokenSampling): Promise<GeneratedTokens[]> {
    const longest = Math.max(...prompts.map((prompt) => prompt.length)) + sampling.maxTokens;
    const context = await this.contextFor(model, longest);
    const answers: GeneratedTokens[] = [];
    for (let at = 0; at < prompts.length; at += this.options.sequences) {
      const batch = prompts.slice(at, at + this.options.sequences);
      answers.push(...(await Promise.all(batch.map((prompt) => this.continueOne(context, prompt, sampling)))));
    }
    return answers;
  }

  /** Frees the weights; the next call loads them again. */
  async unload(): Promise<void> {
    for (const { context } of this.contexts.values()) await context.dispose();
    this.contexts.clear();
    await this.model?.handle.dispose();
    this.model = undefined;
  }

  async dispose(): Promise<void> {
    await this.unload();
    await this.llama?.dispose();
    this.llama = undefined;
  }

  private async continueOne(
    context: LlamaContext,
    prompt: number[],
    sampling: TokenSampling,
  ): Promise<GeneratedTokens> {
    const sequence: LlamaContextSequence = context.getSequence();
    const tokens: number[] = [];
    try {
      const stream = sequence.evaluate(prompt as Token[], {
        temperature: sampling.temperature,
        topP: sampling.topP,
        ...(sampling.seed !== undefined && { seed: sampling.seed }),
        yieldEogToken: true,
      });
      for await (const token of stream) {
        if (context.model.isEogToken(token)) return { tokens, finishReason: 'stop' };
        tokens.push(token);
        if (tokens.length >= sampling.maxTokens) break;
      }
      return { tokens, finishReason: 'length' };
    } finally {
      await sequence.dispose();
    }
  }

  private async contextFor(model: GgufModel, tokensPerSequence: number): Promise<LlamaContext> {
    const base = await this.loadBase(model.basePath);
    if (tokensPerSequence > base.trainContextSize) {
      throw new AppError(
        'request.invalid',
        `Prompt and answer need ${tokensPerSequence} tokens; the model reads ${base.trainContextSize}.`,
        {
          param: 'messages',
        },
      );
    }
    const key = model.adapterPath ?? '';
    const open = this.contexts.get(key);
    if (open && open.tokensPerSequence >= tokensPerSequence) return open.context;
    await open?.context.dispose();
    this.contexts.delete(key);
    await this.dropOtherAdapters(key);
    const rounded = Math.min(Math.ceil(tokensPerSequence / CONTEXT_STEP) * CONTEXT_STEP, base.trainContextSize);
    const context = await base
      .createContext({
        sequences: this.options.sequences,
        contextSize: rounded,
        threads: this.options.threads,
        ...(model.adapterPath !== undefined && { lora: { adapters: [{ filePath: model.adapterPath, scale: 1 }] } }),
      })
      .catch((cause: unknown) => {
        throw new AppError('model.unreadable', 'llama.cpp could not open the model for answers.', { cause });
      });
    this.contexts.set(key, { context, tokensPerSequence: rounded });
    return context;
  }

  /** At most the base's and one adapter's context stay open, so memory does not grow with the number of models. */
  private async dropOtherAdapters(key: string): Promise<void> {
    for (const [other, { context }] of this.contexts) {
      if (other === '' || other === key || key === '') continue;
      await context.dispose();
      this.contexts.delete(other);
    }
  }

  private async loadBase(path: string): Promise<LlamaModel> {
    if (this.model?.path === path) return this.model.handle;
    await this.unload();
    // Prebuilt binaries come with the package: never download, never compile.
    this.llama ??= await getLlama({
      gpu: false,
      build: 'never',
      skipDownload: true,
      logLevel: LlamaLogLevel.error,
      maxThreads: this.options.threads,
    });
    const handle = await this.llama.loadModel({ modelPath: path, gpuLayers: 0 }).catch((cause: unknown) => {
      throw new AppError('model.unreadable', 'llama.cpp could not load the model.', { cause });
    });
    this.model = { path, handle };
    return handle;
  }
}

import { AppError } from '@luthier/contracts';
import type { Llama, LlamaContext, LlamaContextSequence, LlamaModel, Token } from 'node-llama-cpp';
import { asAppError, loadLlama } from './load-llama.js';
import { ThreadAllowance } from './thread-allowance.js';

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
  sequences: number;
}

const CONTEXT_STEP = 256;
const LOOK_EVERY_MS = 1_000;

export interface LlamaEngineOptions {
  /** Undefined: all cores while nothing else works on this machine, else one less. */
  threads?: number | undefined;
  /** Prompts continued at the same time, at most. */
  sequences: number;
  /** Tokens that all sequences of a context keep together; one sequence may exceed it if its prompt does. */
  contextTokens: number;
}

/**
 * One loaded base model with a context for it and one for its adapter: base and tuned answers come from the same
 * weights in memory. Not safe for concurrent use; the caller takes turns.
 */
export class LlamaEngine {
  private llama: Llama | undefined;
  private model: { path: string; handle: LlamaModel } | undefined;
  private readonly contexts = new Map<string, OpenContext>();
  private readonly interrupted = new AbortController();
  private readonly allowance: ThreadAllowance;
  private looking: NodeJS.Timeout | undefined;

  constructor(private readonly options: LlamaEngineOptions) {
    this.allowance = new ThreadAllowance();
  }

  /** Whether weights are in memory. */
  get isLoaded(): boolean {
    return this.model !== undefined;
  }

  /**
   * Continues every prompt; several share one batch. Prompts and answers are token ids.
   * @throws AppError `model.unreadable` when llama.cpp refuses the files; `request.invalid` for a prompt that is empty
   * or too long; `host.out-of-memory`; `service.unavailable` after `interrupt()`.
   */
  async generate(model: GgufModel, prompts: readonly number[][], sampling: TokenSampling): Promise<GeneratedTokens[]> {
    if (prompts.length === 0) return [];
    if (prompts.some((prompt) => prompt.length === 0))
      throw new AppError('request.invalid', 'A conversation renders to nothing.', { param: 'messages' });
    const longest = prompts.reduce((most, prompt) => Math.max(most, prompt.length), 0) + sampling.maxTokens;
    const { context, sequences } = await this.contextFor(model, longest, prompts.length);
    const answers: GeneratedTokens[] = [];
    for (let at = 0; at < prompts.length; at += sequences) {
      const batch = prompts.slice(at, at + sequences);
      // All of them have ended before a failure is told: nothing computes on in a context that is then freed.
      const ended = await Promise.allSettled(batch.map((prompt) => this.continueOne(context, prompt, sampling)));
      for (const one of ended) {
        if (one.status === 'rejected') throw one.reason;
        answers.push(one.value);
      }
    }
    return answers;
  }

  /** Makes what is being generated end soon, for good: the process is about to end. */
  interrupt(): void {
    this.interrupted.abort();
  }

  /** Frees the weights; the next call loads them again. */
  async unload(): Promise<void> {
    const contexts = [...this.contexts.values()];
    const model = this.model;
    clearInterval(this.looking);
    this.looking = undefined;
    this.contexts.clear();
    this.model = undefined;
    for (const { context } of contexts) await context.dispose();
    await model?.handle.dispose();
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
        topK: 0, // the library would leave 40 tokens: what is asked for is the whole distribution
        ...(sampling.seed !== undefined && { seed: sampling.seed }),
        yieldEogToken: true,
      });
      for await (const token of stream) {
        if (this.interrupted.signal.aborted)
          throw new AppError('service.unavailable', 'The service for answers is ending.');
        if (context.model.isEogToken(token)) return { tokens, finishReason: 'stop' };
        tokens.push(token);
        if (tokens.length >= sampling.maxTokens) break;
      }
      return { tokens, finishReason: 'length' };
    } finally {
      await sequence.dispose();
    }
  }

  private async contextFor(model: GgufModel, tokensPerSequence: number, prompts: number): Promise<OpenContext> {
    const base = await this.loadBase(model.basePath);
    if (tokensPerSequence > base.trainContextSize) {
      throw new AppError(
        'request.invalid',
        `Prompt and answer need ${tokensPerSequence} tokens; the model reads ${base.trainContextSize}.`,
        { param: 'messages' },
      );
    }
    const key = model.adapterPath ?? '';
    const open = this.contexts.get(key);
    const wanted = this.sizeFor(tokensPerSequence, prompts, base.trainContextSize);
    if (open && open.tokensPerSequence >= tokensPerSequence && open.sequences >= wanted.sequences) return open;
    this.contexts.delete(key);
    await open?.context.dispose();
    await this.dropOtherAdapters(key);
    base.llama.maxThreads = this.threadsMost; // what a context may ever use is bounded by what is allowed when it is made
    const context = await base
      .createContext({
        sequences: wanted.sequences,
        contextSize: wanted.tokensPerSequence,
        threads: this.threadsMost,
        ...(model.adapterPath !== undefined && { lora: { adapters: [{ filePath: model.adapterPath, scale: 1 }] } }),
      })
      .catch((cause: unknown) => {
        throw asAppError(cause, 'llama.cpp could not open the model for answers.');
      })
      .finally(() => this.limitThreads());
    const made = { context, ...wanted };
    this.contexts.set(key, made);
    return made;
  }

  private get threadsMost(): number {
    return this.options.threads ?? this.allowance.most;
  }

  /** Also while answers are generated: every batch asks anew how many threads it may use. */
  private limitThreads(): void {
    if (this.llama) this.llama.maxThreads = this.options.threads ?? this.allowance.threads;
  }

  private watchMachine(): void {
    if (this.options.threads !== undefined || this.looking) return;
    this.allowance.forget();
    this.looking = setInterval(() => {
      this.allowance.look();
      this.limitThreads();
    }, LOOK_EVERY_MS);
    this.looking.unref();
    this.limitThreads();
  }

  /** As many sequences as prompts ask for, fewer when they are long: the memory of a context stays bounded. */
  private sizeFor(tokensPerSequence: number, prompts: number, contextMax: number): Omit<OpenContext, 'context'> {
    const { sequences, contextTokens } = this.options;
    const rounded = Math.min(Math.ceil(tokensPerSequence / CONTEXT_STEP) * CONTEXT_STEP, contextMax);
    const affordable = Math.max(1, Math.floor(contextTokens / rounded));
    return { tokensPerSequence: rounded, sequences: Math.min(sequences, prompts, affordable) };
  }

  /** At most the base's and one adapter's context stay open, so memory does not grow with the number of models. */
  private async dropOtherAdapters(key: string): Promise<void> {
    for (const [other, { context }] of [...this.contexts]) {
      if (other === '' || other === key || key === '') continue;
      this.contexts.delete(other);
      await context.dispose();
    }
  }

  private async loadBase(path: string): Promise<LlamaModel> {
    if (this.model?.path === path) return this.model.handle;
    await this.unload();
    this.llama ??= await loadLlama(this.threadsMost);
    this.watchMachine();
    const handle = await this.llama.loadModel({ modelPath: path, gpuLayers: 0 }).catch((cause: unknown) => {
      throw asAppError(cause, 'llama.cpp could not load the model.');
    });
    this.model = { path, handle };
    return handle;
  }
}

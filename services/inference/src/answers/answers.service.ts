import type { ChatMessage, Completion, ResponseOf, generateAnswers, sampling } from '@luthier/contracts';
import type { Logger } from '@luthier/service-kit';
import { Injectable } from '@nestjs/common';
import type { OnApplicationShutdown } from '@nestjs/common';
import type { z } from 'zod';
import { LlamaEngine } from '@luthier/llama-cpp';
import type { GeneratedTokens } from '@luthier/llama-cpp';
import { Turns } from '../engine/turns.js';
import { ModelFiles } from '../models/model-files.js';
import type { ServableModel } from '../models/model-files.js';
import { AnswerMetrics } from '../inference.metrics.js';
import { ConversationCodec } from './conversation-codec.js';
import { cutAtStop } from './cut-at-stop.js';

type Sampling = z.output<typeof sampling>;
export interface AnswersRequest {
  model: string;
  conversations: ChatMessage[][];
  sampling: Sampling;
}

/** Answers conversations with one model at a time; the weights leave memory when nobody asks. */
@Injectable()
export class AnswersService implements OnApplicationShutdown {
  private codec: { dir: string; handle: ConversationCodec } | undefined;
  private idleTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly files: ModelFiles,
    private readonly engine: LlamaEngine,
    private readonly turns: Turns,
    private readonly metrics: AnswerMetrics,
    private readonly logger: Logger,
    private readonly idleUnloadMs: number,
  ) {}

  /**
   * @throws AppError `model.not-found`, `model.not-ready`, `model.unreadable`, `request.invalid`, `request.rate-limited`,
   * `host.out-of-memory`, `service.unavailable` while the service ends.
   */
  async generate(request: AnswersRequest): Promise<ResponseOf<typeof generateAnswers>> {
    const found = await this.files.find(request.model);
    // Conversion takes its turn too: no two at once, and what is converted cannot be removed before it is used.
    return this.turns.take(async () => {
      clearTimeout(this.idleTimer);
      try {
        return await this.files.use(found, async (model) => ({
          ...{ modelId: model.modelId, answers: await this.answer(model, request) },
        }));
      } finally {
        this.unloadWhenIdle();
      }
    });
  }

  async onApplicationShutdown(): Promise<void> {
    clearTimeout(this.idleTimer);
    this.engine.interrupt();
    await this.turns.close(async () => {
      clearTimeout(this.idleTimer); // the task that just ended has set it again
      await this.unload();
      await this.engine.dispose();
    });
  }

  private unloadWhenIdle(): void {
    clearTimeout(this.idleTimer);
    this.idleTimer = setTimeout(() => {
      this.turns
        .tidy(() => this.unload())
        .catch((cause: unknown) => this.logger.error({ err: cause }, 'The idle model could not be unloaded'));
    }, this.idleUnloadMs);
    this.idleTimer.unref();
  }

  private async answer(model: ServableModel, { conversations, sampling: how }: AnswersRequest): Promise<Completion[]> {
    const codec = await this.codecFor(model.baseDir);
    const prompts: number[][] = [];
    for (const messages of conversations) prompts.push(await codec.prompt(messages));
    const startedMs = performance.now();
    const generated = await this.engine.generate(model.gguf, prompts, {
      maxTokens: how.maxTokens,
      temperature: how.temperature,
      topP: how.topP,
      ...(how.seed !== undefined && { seed: how.seed }),
    });
    this.metrics.generated(
      generated.reduce((sum, { tokens }) => sum + tokens.length, 0),
      (performance.now() - startedMs) / 1_000,
    );
    return generated.map((one, i) => toCompletion(codec, prompts[i]?.length ?? 0, one, how.stop));
  }

  private async codecFor(dir: string): Promise<ConversationCodec> {
    if (this.codec?.dir === dir) return this.codec.handle;
    await this.codec?.handle.close();
    this.codec = undefined;
    const handle = await ConversationCodec.open(dir);
    this.codec = { dir, handle };
    return handle;
  }

  private async unload(): Promise<void> {
    await this.engine.unload();
    await this.codec?.handle.close();
    this.codec = undefined;
  }
}

function toCompletion(
  codec: ConversationCodec,
  promptTokens: number,
  generated: GeneratedTokens,
  stop: string[],
): Completion {
  const { text, stopped } = cutAtStop(codec.text(generated.tokens), stop);
  return {
    text,
    finishReason: stopped ? 'stop' : generated.finishReason,
    promptTokens,
    completionTokens: generated.tokens.length,
  };
}

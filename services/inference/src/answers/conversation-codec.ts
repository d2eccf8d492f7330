import { AppError } from '@luthier/contracts';
import type { ChatMessage } from '@luthier/contracts';
import { TextError, encodePrompt, loadChatTemplate, loadTokenizer } from '@luthier/text';
import type { ChatTemplate, TextTokenizer } from '@luthier/text';

/** Conversations to token ids and back, with the tokenizer and template that the model was trained with. */
export class ConversationCodec {
  private constructor(
    private readonly tokenizer: TextTokenizer,
    private readonly template: ChatTemplate,
  ) {}

  /** @throws AppError `model.unreadable`. */
  static async open(modelDir: string): Promise<ConversationCodec> {
    try {
      const [tokenizer, template] = await Promise.all([loadTokenizer(modelDir), loadChatTemplate(modelDir)]);
      return new ConversationCodec(tokenizer, template);
    } catch (cause) {
      if (cause instanceof TextError) throw new AppError('model.unreadable', cause.message, { cause });
      throw cause;
    }
  }

  /** @throws AppError `request.invalid` when the template refuses the conversation. */
  async prompt(messages: readonly ChatMessage[]): Promise<number[]> {
    try {
      return Array.from(await encodePrompt({ messages, tokenizer: this.tokenizer, template: this.template }));
    } catch (cause) {
      if (cause instanceof TextError)
        throw new AppError('request.invalid', cause.message, { param: 'messages', cause });
      throw cause;
    }
  }

  text(tokens: readonly number[]): string {
    return tokens.length === 0 ? '' : this.tokenizer.decode(tokens, { skipSpecialTokens: true });
  }

  async close(): Promise<void> {
    await this.template.close();
  }
}

import { randomUUID } from 'node:crypto';
import { AppError, generateAnswers } from '@luthier/contracts';
import type { MessageBus } from '@luthier/messaging';
import { bindRoute } from '../http/route.js';
import type { RouteBinding } from '../http/route.js';
import { toGenerateRequest } from './chat-request.js';
import { createChatCompletionRoute } from './chat.routes.js';

export function chatBindings(bus: MessageBus): RouteBinding[] {
  return [
    bindRoute(createChatCompletionRoute, async ({ body, requestId }) => {
      const { answers } = await bus.request(generateAnswers, toGenerateRequest(body), { requestId });
      const [answer] = answers;
      if (!answer) throw new AppError('internal', undefined, { cause: new Error('inference gave no answer') });
      const { text, finishReason, promptTokens, completionTokens } = answer;
      return {
        id: `chatcmpl-${randomUUID().replaceAll('-', '')}`,
        object: 'chat.completion' as const,
        created: Math.floor(Date.now() / 1000),
        model: body.model,
        choices: [
          {
            index: 0,
            message: { role: 'assistant' as const, content: text, refusal: null },
            logprobs: null,
            finish_reason: finishReason,
          },
        ],
        usage: {
          prompt_tokens: promptTokens,
          completion_tokens: completionTokens,
          total_tokens: promptTokens + completionTokens,
        },
      };
    }),
  ];
}

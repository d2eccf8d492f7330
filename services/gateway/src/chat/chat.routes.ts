import { chatBody, chatCompletion } from '../http/openai-schemas.js';
import { defineRoute } from '../http/route.js';

export const createChatCompletionRoute = defineRoute({
  id: 'createChatCompletion',
  method: 'POST',
  path: '/v1/chat/completions',
  tag: 'Chat',
  summary: 'Answer a conversation with a base or tuned model',
  body: chatBody,
  answer: { status: 200, description: 'The answer', schema: chatCompletion },
  errors: ['request.unsupported', 'model.not-found', 'model.not-ready', 'model.unreadable', 'model.unsupported'],
});

export const CHAT_ROUTES = [createChatCompletionRoute] as const;

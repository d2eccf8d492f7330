import { AppError } from '@luthier/contracts';
import type { ChatMessage, RequestOf, generateAnswers } from '@luthier/contracts';
import type { ChatBody } from '../http/openai-schemas.js';

const ROLES = {
  system: 'system',
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
  tool: 'tool',
} as const satisfies Record<ChatBody['messages'][number]['role'], ChatMessage['role']>;

/** @throws AppError `request.unsupported` that names the first field that asks for what is not there. */
function refuseUnsupported(body: ChatBody): void {
  const refused: [boolean, string][] = [
    [body.stream === true, 'stream'],
    [(body.n ?? 1) !== 1, 'n'],
    [(body.tools ?? []).length > 0, 'tools'],
    [body.logprobs === true, 'logprobs'],
    [(body.response_format?.type ?? 'text') !== 'text', 'response_format'],
  ];
  const [first] = refused.filter(([asked]) => asked);
  if (first) throw new AppError('request.unsupported', `"${first[1]}" is not supported here`, { param: first[1] });
}

/** OpenAI's chat request as one conversation for inference. */
export function toGenerateRequest(body: ChatBody): RequestOf<typeof generateAnswers> {
  refuseUnsupported(body);
  const conversation = body.messages.map(({ role, content }) => ({
    role: ROLES[role],
    content: typeof content === 'string' ? content : (content ?? []).map((part) => part.text).join(''),
  }));
  const maxTokens = body.max_completion_tokens ?? body.max_tokens;
  const { stop } = body;
  return {
    model: body.model,
    conversations: [conversation],
    sampling: {
      ...(typeof maxTokens === 'number' && { maxTokens }),
      ...(typeof body.temperature === 'number' && { temperature: body.temperature }),
      ...(typeof body.top_p === 'number' && { topP: body.top_p }),
      ...(typeof body.seed === 'number' && { seed: body.seed }),
      ...(stop !== null && stop !== undefined && { stop: typeof stop === 'string' ? [stop] : stop }),
    },
  };
}

'use client';
import { unwrap } from '@luthier/api-client';
import { client } from './client';

export interface Answer {
  text: string;
  seconds: number;
  tokens: number;
}

/** One answer of one model, with the time it took as the reader felt it. */
export async function ask(model: string, system: string, question: string, signal: AbortSignal): Promise<Answer> {
  const started = performance.now();
  const completion = await unwrap(
    client.POST('/v1/chat/completions', {
      body: {
        model,
        messages: [
          ...(system.trim() === '' ? [] : [{ role: 'system' as const, content: system }]),
          { role: 'user' as const, content: question },
        ],
        max_tokens: 256,
        temperature: 0,
      },
      signal,
    }),
  );
  return {
    text: completion.choices[0]?.message.content ?? '',
    seconds: (performance.now() - started) / 1000,
    tokens: completion.usage.completion_tokens,
  };
}

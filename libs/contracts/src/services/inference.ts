import { z } from 'zod';
import { defineRequest } from '../define.js';
import { chatMessage } from './datasets.js';

export const sampling = z.object({
  maxTokens: z.int().min(1).max(4096).default(256),
  /** 0 is greedy. */
  temperature: z.number().min(0).max(2).default(0),
  topP: z.number().gt(0).max(1).default(1),
  seed: z.int().optional(),
  stop: z.array(z.string().min(1)).max(4).default([]),
});

export const completion = z.object({
  text: z.string(),
  finishReason: z.enum(['stop', 'length']),
  promptTokens: z.int(),
  completionTokens: z.int(),
});
export type Completion = z.output<typeof completion>;

const s = 'luthier.v1.rpc.inference';
/** Answers several conversations with one model, batched; order is kept. */
export const generateAnswers = defineRequest({
  subject: `${s}.generate-answers`,
  request: z.object({
    /** Id or name of a base or tuned model. */
    model: z.string(),
    conversations: z.array(z.array(chatMessage).min(1)).min(1).max(32),
    sampling: sampling.prefault({}),
  }),
  response: z.object({ modelId: z.string(), answers: z.array(completion) }),
  errors: [
    'model.not-found',
    'model.not-ready',
    'model.unreadable',
    'model.unsupported',
    'request.invalid',
    'request.rate-limited',
    'host.out-of-memory',
    'disk.full',
  ],
  timeoutMs: 300_000,
});

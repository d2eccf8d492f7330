import { baseFields, databaseFields, defineConfig, env } from '@luthier/service-kit';
import type { ConfigOf } from '@luthier/service-kit';
import { z } from 'zod';

export const evaluationConfigSchema = defineConfig('evaluation', {
  ...baseFields,
  ...databaseFields,
  answerTokensMax: env(
    'LUTHIER_EVALUATION_ANSWER_TOKENS_MAX',
    z.coerce.number().int().min(1).max(1024).default(48),
    'longest answer that is generated for an evaluation, in tokens',
  ),
  batchSize: env(
    'LUTHIER_EVALUATION_BATCH_SIZE',
    z.coerce.number().int().min(1).max(32).default(16),
    'questions asked in one request',
  ),
  rowsMax: env(
    'LUTHIER_EVALUATION_ROWS_MAX',
    z.coerce.number().int().min(1).max(10_000).default(500),
    'rows of each file that are asked; the first ones',
  ),
  retryPauseMs: env(
    'LUTHIER_EVALUATION_RETRY_PAUSE_MS',
    z.coerce.number().int().positive().default(2_000),
    'pause before a passing fault of another service is tried again',
  ),
  patienceMs: env(
    'LUTHIER_EVALUATION_PATIENCE_MS',
    z.coerce.number().int().nonnegative().default(120_000),
    'how long a passing fault is waited for, counted from the last answer',
  ),
});
export type EvaluationConfig = ConfigOf<typeof evaluationConfigSchema>;

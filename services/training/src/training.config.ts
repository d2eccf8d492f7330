import { z } from 'zod';
import { artifactFields, baseFields, databaseFields, defineConfig, env } from '@luthier/service-kit';
import type { ConfigOf } from '@luthier/service-kit';

const positive = z.coerce.number().int().positive();

export const trainingConfig = defineConfig('training', {
  ...baseFields,
  ...artifactFields,
  ...databaseFields,
  sweepIntervalMs: env(
    'LUTHIER_TRAINING_SWEEP_INTERVAL_MS',
    positive.default(2_000),
    'how often every unfinished job is looked at, besides events',
  ),
  reprojectIntervalMs: env(
    'LUTHIER_TRAINING_REPROJECT_INTERVAL_MS',
    positive.default(60_000),
    'how often run specs are compared with the tables',
  ),
  stopGraceSeconds: env(
    'LUTHIER_TRAINING_STOP_GRACE_SECONDS',
    positive.default(60),
    'time a run has to save and leave when it is stopped',
  ),
  runDeadlineSeconds: env(
    'LUTHIER_TRAINING_RUN_DEADLINE_SECONDS',
    positive.default(24 * 60 * 60),
    'longest running time of a run over all attempts',
  ),
  evaluationTimeoutMs: env(
    'LUTHIER_TRAINING_EVALUATION_TIMEOUT_MS',
    positive.default(2 * 60 * 60 * 1000),
    'how long a job waits for its evaluation before it ends without one',
  ),
});
export type TrainingConfig = ConfigOf<typeof trainingConfig>;

/** Inject with `@Inject(TRAINING_CONFIG)`. */
export const TRAINING_CONFIG = Symbol('training.config');

import { artifactFields, baseFields, defineConfig, env } from '@luthier/service-kit';
import type { ConfigOf } from '@luthier/service-kit';
import { z } from 'zod';

export const inferenceConfigSchema = defineConfig('inference', {
  ...baseFields,
  ...artifactFields,
  workDir: env('LUTHIER_WORK_DIR', z.string().min(1), 'folder for files that can be made again'),
  modelCacheMib: env(
    'LUTHIER_INFERENCE_MODEL_CACHE_MIB',
    z.coerce
      .number()
      .int()
      .positive()
      .default(64 * 1024),
    'copies of models that are kept in the work folder when artifacts are not files of this machine, in MiB',
  ),
  ggufCacheMib: env(
    'LUTHIER_INFERENCE_GGUF_CACHE_MIB',
    z.coerce
      .number()
      .int()
      .positive()
      .default(64 * 1024),
    'models and adapters converted for answers that are kept in the work folder, in MiB; those unused for longest go first',
  ),
  threads: env(
    'LUTHIER_INFERENCE_THREADS',
    z.coerce.number().int().min(1).optional(),
    'threads for generating answers; not set: all cores while nothing else works on the machine, else one less',
  ),
  sequences: env(
    'LUTHIER_INFERENCE_SEQUENCES',
    z.coerce.number().int().min(1).max(64).default(8),
    'conversations answered in one batch',
  ),
  contextTokens: env(
    'LUTHIER_INFERENCE_CONTEXT_TOKENS',
    z.coerce.number().int().min(256).default(8_192),
    'tokens that the conversations of one batch keep together; longer ones are answered with fewer at once',
  ),
  idleUnloadMs: env(
    'LUTHIER_INFERENCE_IDLE_UNLOAD_MS',
    z.coerce.number().int().positive().default(60_000),
    'time without a request after which the weights leave memory',
  ),
  maxWaiting: env(
    'LUTHIER_INFERENCE_MAX_WAITING',
    z.coerce.number().int().positive().default(64),
    'requests that may run or wait; more are refused',
  ),
});
export type InferenceConfig = ConfigOf<typeof inferenceConfigSchema>;

import { z } from 'zod';
import { artifactFields, baseFields, databaseFields, defineConfig, env } from '@luthier/service-kit';
import type { ConfigOf } from '@luthier/service-kit';

const GIB = 1024 ** 3;

export const registryConfigSchema = defineConfig('registry', {
  ...baseFields,
  ...artifactFields,
  ...databaseFields,
  workDir: env('LUTHIER_WORK_DIR', z.string().min(1), 'folder for downloads and conversions under way'),
  hubUrl: env(
    'LUTHIER_HUB_URL',
    z.url().default('https://huggingface.co'),
    'model hub that speaks the Hugging Face API',
  ),
  modelDir: env(
    'LUTHIER_MODEL_DIR',
    z.string().optional(),
    'folder with models by name, used where the hub is not reachable',
  ),
  cacheDir: env('LUTHIER_CACHE_DIR', z.string().optional(), 'cache of fetched packages'),
  modelBytesMax: env(
    'LUTHIER_REGISTRY_MODEL_BYTES_MAX',
    z.coerce
      .number()
      .int()
      .positive()
      .default(64 * GIB),
    'largest model that is imported, in bytes',
  ),
  parityMemoryMib: env(
    'LUTHIER_REGISTRY_PARITY_MEMORY_MIB',
    z.coerce.number().int().positive().default(4_096),
    'memory that comparing an export with its source may take; larger models are not compared, which is said',
  ),
  parityTimeoutS: env(
    'LUTHIER_REGISTRY_PARITY_TIMEOUT_S',
    z.coerce.number().int().positive().default(900),
    'time that comparing an export with its source may take, in seconds',
  ),
});
export type RegistryConfig = ConfigOf<typeof registryConfigSchema>;

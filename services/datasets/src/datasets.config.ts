import { z } from 'zod';
import { artifactFields, baseFields, databaseFields, defineConfig, env } from '@luthier/service-kit';
import type { ConfigOf } from '@luthier/service-kit';

export const datasetsConfigSchema = defineConfig('datasets', {
  ...baseFields,
  ...artifactFields,
  ...databaseFields,
  workDir: env('LUTHIER_WORK_DIR', z.string().min(1), 'folder for datasets under preparation'),
  expiryLookMs: env(
    'LUTHIER_DATASETS_EXPIRY_LOOK_MS',
    z.coerce.number().int().min(100).default(60_000),
    'how often files are looked for whose time has passed',
  ),
});
export type DatasetsConfig = ConfigOf<typeof datasetsConfigSchema>;

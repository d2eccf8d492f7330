import { bootstrap } from '@luthier/service-kit';
import type { BootstrapOptions, RunningService } from '@luthier/service-kit';
import type { DatasetsConfig } from './datasets.config.js';
import { datasetsModule } from './datasets.module.js';

export { datasetsConfigSchema } from './datasets.config.js';
export type { DatasetsConfig } from './datasets.config.js';
export { datasetsModule } from './datasets.module.js';

/** Starts the datasets service in this process. */
export const startDatasets = (config: DatasetsConfig, options?: BootstrapOptions): Promise<RunningService> =>
  bootstrap(datasetsModule(config), config, options);

import { bootstrap } from '@luthier/service-kit';
import type { BootstrapOptions, RunningService } from '@luthier/service-kit';
import type { RegistryConfig } from './registry.config.js';
import { registryModule } from './registry.module.js';

export { registryConfigSchema } from './registry.config.js';
export type { RegistryConfig } from './registry.config.js';
export { registryModule } from './registry.module.js';

/** Starts the registry in this process. */
export const startRegistry = (config: RegistryConfig, options?: BootstrapOptions): Promise<RunningService> =>
  bootstrap(registryModule(config), config, options);

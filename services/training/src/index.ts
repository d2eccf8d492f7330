import { bootstrap } from '@luthier/service-kit';
import type { BootstrapOptions, RunningService } from '@luthier/service-kit';
import type { TrainingConfig } from './training.config.js';
import { TrainingModule } from './training.module.js';

export { trainingConfig } from './training.config.js';
export type { TrainingConfig } from './training.config.js';
export { TrainingModule } from './training.module.js';

/** Starts the service on a configuration made by `loadConfig(trainingConfig, …)`. */
export const startTraining = (config: TrainingConfig, options?: BootstrapOptions): Promise<RunningService> =>
  bootstrap(TrainingModule.forRoot(config), config, options);

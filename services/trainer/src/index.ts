import { bootstrap } from '@luthier/service-kit';
import type { BootstrapOptions, RunningService } from '@luthier/service-kit';
import { TrainerModule } from './trainer.module.js';
import type { TrainerConfig } from './trainer.config.js';

export { trainerConfigSchema } from './trainer.config.js';
export type { RuntimeProfile, TrainerConfig } from './trainer.config.js';
export { TrainerModule } from './trainer.module.js';
export { TrainerService } from './trainer.service.js';

/** Starts the trainer; NATS must be provisioned. */
export const startTrainer = (config: TrainerConfig, options?: BootstrapOptions): Promise<RunningService> =>
  bootstrap(TrainerModule.forRoot(config), config, options);

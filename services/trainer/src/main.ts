import { runService } from '@luthier/service-kit';
import { trainerConfigSchema } from './trainer.config.js';
import { TrainerModule } from './trainer.module.js';

await runService(trainerConfigSchema, (config) => TrainerModule.forRoot(config));

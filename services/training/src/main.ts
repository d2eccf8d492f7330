import { runService } from '@luthier/service-kit';
import { trainingConfig } from './training.config.js';
import { TrainingModule } from './training.module.js';

await runService(trainingConfig, (config) => TrainingModule.forRoot(config));

import { runService } from '@luthier/service-kit';
import { inferenceConfigSchema } from './inference.config.js';
import { InferenceModule } from './inference.module.js';

await runService(inferenceConfigSchema, (config) => InferenceModule.forConfig(config));

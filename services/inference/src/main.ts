import { runService } from '@luthier/service-kit';
import { inferenceConfigDefinition } from './inference.config.js';
import { InferenceModule } from './inference.module.js';

await runService(inferenceConfigDefinition, (config) => InferenceModule.forConfig(config));

export { inferenceConfigSchema } from './inference.config.js';
export type { InferenceConfig } from './inference.config.js';
export { InferenceModule } from './inference.module.js';

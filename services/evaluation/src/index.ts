export { evaluationConfigSchema } from './evaluation.config.js';
export type { EvaluationConfig } from './evaluation.config.js';
export { EvaluationModule } from './evaluation.module.js';

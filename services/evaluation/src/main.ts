import { runService } from '@luthier/service-kit';
import { evaluationConfigSchema } from './evaluation.config.js';
import { EvaluationModule } from './evaluation.module.js';

await runService(evaluationConfigSchema, (config) => EvaluationModule.forConfig(config));

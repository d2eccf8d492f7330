import { runService } from '@luthier/service-kit';
import { evaluationConfigDefinition } from './evaluation.config.js';
import { EvaluationModule } from './evaluation.module.js';

await runService(evaluationConfigDefinition, (config) => EvaluationModule.forConfig(config));

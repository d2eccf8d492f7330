import { runService } from '@luthier/service-kit';
import { datasetsConfigSchema } from './datasets.config.js';
import { datasetsModule } from './datasets.module.js';

await runService(datasetsConfigSchema, datasetsModule);

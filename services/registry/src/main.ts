import { runService } from '@luthier/service-kit';
import { registryConfigSchema } from './registry.config.js';
import { registryModule } from './registry.module.js';

await runService(registryConfigSchema, registryModule);

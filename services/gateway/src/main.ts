import { runService } from '@luthier/service-kit';
import { gatewayConfigSchema } from './gateway.config.js';
import { GatewayModule } from './gateway.module.js';
import { gatewayOptions } from './start-gateway.js';

await runService(gatewayConfigSchema, (config) => GatewayModule.forConfig(config), gatewayOptions);

import { bootstrap } from '@luthier/service-kit';
import type { BootstrapOptions, RunningService } from '@luthier/service-kit';
import type { GatewayConfig } from './gateway.config.js';
import { configureHttp } from './gateway.http.js';
import { GatewayModule } from './gateway.module.js';

/** How the gateway's web server differs from that of the other services. */
export const gatewayOptions = (config: GatewayConfig): BootstrapOptions => ({
  http: {
    trustProxy: config.trustProxy,
    bodyLimitBytes: config.bodyLimitBytes,
    configure: (app) => configureHttp(app, config),
  },
});

/** Starts the gateway; the key of the installation lies in `<workDir>/api-key` afterwards. */
export const startGateway = (
  config: GatewayConfig,
  options: Pick<BootstrapOptions, 'logger'> = {},
): Promise<RunningService> =>
  bootstrap(GatewayModule.forConfig(config), config, { ...gatewayOptions(config), ...options });

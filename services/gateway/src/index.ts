export { ensureApiKey } from './auth/api-key.js';
export { KeyStore } from './auth/key.store.js';
export { gatewayConfigSchema } from './gateway.config.js';
export type { GatewayConfig } from './gateway.config.js';
export { GatewayModule } from './gateway.module.js';
export { gatewayOptions, startGateway } from './start-gateway.js';

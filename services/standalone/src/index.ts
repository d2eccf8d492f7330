export { startPlatform } from './platform.js';
export type { Platform, PlatformOptions } from './platform.js';
export { runtimeCommand } from './local-profile.js';
export type { LocalRuntime } from './local-profile.js';
export { processTreePssMib, watchPeakPss } from './memory-use.js';
export { standaloneConfigDefinition } from './standalone.config.js';

export { startNats } from './nats.js';
export type { TestNats } from './nats.js';
export { startPostgres } from './postgres.js';
export type { TestDatabase, TestPostgres } from './postgres.js';
export { removeHome } from './remove-home.js';
export { tempDir } from './temp-dir.js';
export { waitFor } from './wait-for.js';
export type { WaitOptions } from './wait-for.js';

/** Own entry point: worker files import it without the decorated classes of the package's main entry. */
export { runInWorker } from './run-in-worker.js';
export { startWorker } from './start-worker.js';
export type { WorkerOptions } from './start-worker.js';

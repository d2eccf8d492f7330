/** Own entry point: worker files import it without the decorated classes of the package's main entry. */
export { runInChild } from './run-in-child.js';
export { runInWorker } from './run-in-worker.js';
export { startChild } from './start-child.js';
export type { ChildOptions } from './start-child.js';
export { startWorker } from './start-worker.js';
export type { WorkerOptions } from './start-worker.js';

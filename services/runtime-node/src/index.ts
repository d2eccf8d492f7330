export { CAPABILITIES } from './run-command.js';
export { engineStates } from './engine/engine.js';

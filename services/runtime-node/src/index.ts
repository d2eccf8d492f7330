export { CAPABILITIES } from './run-command.js';

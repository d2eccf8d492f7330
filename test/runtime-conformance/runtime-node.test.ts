import { describe } from '@jest/globals';
import { join } from 'node:path';
import { describeConformance } from './runtime-suite.js';

// Build output is run, as in production.
const command = [process.execPath, join(import.meta.dirname, '../../services/runtime-node/dist/main.js')];

describe('runtime-node', () => describeConformance(command));

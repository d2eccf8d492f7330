import { describe } from '@jest/globals';
import { join } from 'node:path';
import { describePreference } from './preference-suite.js';
import { describeConformance } from './runtime-suite.js';
import { describeTunings } from './tuning-suite.js';

// Build output is run, as in production.
const command = [process.execPath, join(import.meta.dirname, '../../services/runtime-node/dist/main.js')];

describe('runtime-node', () => {
  describeConformance(command);
  describeTunings(command);
  describePreference(command);
});

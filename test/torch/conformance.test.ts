import { describeConformance } from '../runtime-conformance/runtime-suite.js';
import { command, describeWithTorch } from './torch-environment.js';

describeWithTorch('runtime-torch', () => describeConformance(command));

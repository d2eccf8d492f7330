import { describePreference } from '../runtime-conformance/preference-suite.js';
import { describeConformance } from '../runtime-conformance/runtime-suite.js';
import { command, describeWithTorch } from './torch-environment.js';
import { warmRuntime } from './warm-runtime.js';

describeWithTorch('runtime-torch', () => {
  const quick = warmRuntime();
  describeConformance(command, quick);
  describePreference(quick);
});

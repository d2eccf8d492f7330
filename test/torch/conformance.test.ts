import { PRECISIONS } from '@luthier/contracts';
import { describePreference } from '../runtime-conformance/preference-suite.js';
import { describeConformance } from '../runtime-conformance/runtime-suite.js';
import { command, describeWithTorch } from './torch-environment.js';
import { warmRuntime } from './warm-runtime.js';

/** What `scripts/check-gpu.sh` asks for; the comparisons with exact losses are for float32. */
const precision = PRECISIONS.find((known) => known === process.env['LUTHIER_CONFORMANCE_PRECISION']);

describeWithTorch('runtime-torch', () => {
  const quick = warmRuntime();
  describeConformance(command, quick, precision ? { precision } : {});
  if (precision === undefined || precision === 'float32') describePreference(quick);
});

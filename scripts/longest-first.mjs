import TestSequencer from '@jest/test-sequencer';

/** Of each tier these take longest: begun last, they would go on alone. */
const LONGEST = [
  'test/torch/python.test.ts',
  'test/torch/cpu-nodes.test.ts',
  'test/torch/main-job.test.ts',
  'crash-points.kube.test.ts',
  'queued-nodes.kube.test.ts',
  'random-kills.kube.test.ts',
  'failure-rows.kube.test.ts',
  'test/kube/main-job.test.ts',
  'training.runs.int.test.ts',
  'training.crashes.int.test.ts',
  'training.int.test.ts',
  'test/chart/install.test.ts',
  'test/chart/dashboards.test.ts',
  'test/chart/images.test.ts',
  'test/chart/accepted.test.ts',
];

/** Jest's own order is by earlier times, and by size where there are none yet: how long a file is says little. */
export default class LongestFirst extends TestSequencer {
  sort(tests) {
    const rank = ({ path }) => {
      const at = LONGEST.findIndex((file) => path.endsWith(file));
      return at < 0 ? LONGEST.length : at;
    };
    return super.sort(tests).toSorted((a, b) => rank(a) - rank(b));
  }
}

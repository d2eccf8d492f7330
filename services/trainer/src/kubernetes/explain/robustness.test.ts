import { describe, expect, it } from '@jest/globals';
import { RUN_REASONS, runParams, runStatus } from '@luthier/contracts';
import fc from 'fast-check';
import { explainApiError } from './api-error.js';
import { explainEnd } from './ending.js';
import { sentence } from './sentences.js';
import * as golden from './testing/golden.js';
import type { AttemptView } from './view.js';
import { explainWaiting } from './waiting.js';

const NOISE = [
  '',
  '0/0 nodes',
  'x is forbidden: exceeded quota: , requested: =, used: =, limited: =',
  '{"code":',
  '\u0000',
  '> maximum capacity (',
  'Insufficient ',
  'n'.repeat(5_000),
];
const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(...NOISE), fc.constant(undefined));

/** An object of the API with some of its fields gone or of another type, at any depth. */
function spoiled(whole: unknown): fc.Arbitrary<unknown> {
  if (typeof whole !== 'object' || whole === null) return fc.oneof({ weight: 6, arbitrary: fc.constant(whole) }, value);
  if (Array.isArray(whole)) {
    return fc.oneof({ weight: 6, arbitrary: fc.tuple(...whole.map((each: unknown) => spoiled(each))) }, value);
  }
  const fields = Object.entries(whole).map(([name, field]) => [name, spoiled(field)] as const);
  return fc.oneof({ weight: 8, arbitrary: fc.record(Object.fromEntries(fields), { requiredKeys: [] }) }, value);
}

const { conditions, disrupted, event, exited, job, pod, podEvent, unplaced, waiting, workload } = golden;
const pods = [
  exited(42, '{"code":"data.bad","message":"m","step":3}', { conditions: [disrupted('DeletionByTaintManager', 't')] }),
  unplaced('0/2 nodes are available: 2 Insufficient nvidia.com/gpu.'),
  waiting('ErrImagePull', 'not found'),
  pod({ node: 'gpu-1', phase: 'Failed', reason: 'Evicted', message: 'low on resource: memory' }),
  golden.running({ deleting: true }),
];
const events = [
  event('FailedCreate', 'exceeded quota: q, requested: cpu=1, used: cpu=1, limited: cpu=1'),
  podEvent('FailedMount', 'secret "x" not found'),
];
const anyView = fc.record({
  root: spoiled(job({ conditions: [conditions.of('Failed', 'True', 'DeadlineExceeded', 'm')] })),
  pods: fc.array(fc.oneof(...pods.map(spoiled)), { maxLength: 4 }),
  events: fc.array(fc.oneof(...events.map(spoiled)), { maxLength: 3 }),
  workload: fc.oneof(
    fc.constant(undefined),
    spoiled(workload({}, conditions.of('QuotaReserved', 'False', 'Pending', 'insufficient quota'))),
  ),
  nodes: fc.constantFrom(undefined, golden.NODES, [{ name: 'gpu-1', ready: false, since: 0 }]),
  now: fc.constant(golden.NOW),
  expectedPods: fc.integer({ min: 1, max: 4 }),
  final: fc.boolean(),
}) as unknown as fc.Arbitrary<AttemptView>;

const status = {
  runId: `run-${'a'.repeat(20)}`,
  attempt: 1,
  incarnation: 1,
  observedGeneration: 1,
  phase: 'ended',
  pods: [],
};

describe('whatever the API shows', () => {
  it('nothing at all is explained as waiting or as not ended', () => {
    const empty = { ...golden.view(), root: {}, pods: [null, {}], events: [null], workload: null, nodes: undefined };
    expect(explainWaiting(empty as unknown as AttemptView)).toMatchObject({ phase: 'scheduling' });
    expect(explainEnd(empty as unknown as AttemptView, [])).toBeUndefined();
  });

  it('an explanation is made without a fault and fits into a status', () => {
    fc.assert(
      fc.property(anyView, (view) => {
        for (const said of [explainWaiting(view), explainEnd(view, [])]) {
          if (!said) continue;
          const { reason, message, params, excerpt } = said;
          expect(message.length).toBeGreaterThan(0);
          expect(message.length).toBeLessThan(2_000);
          expect(Buffer.byteLength(excerpt ?? '')).toBeLessThanOrEqual(1_024);
          runStatus.parse({ ...status, reason, message, params, ...(excerpt !== undefined && { excerpt }) });
        }
      }),
      { numRuns: 500 },
    );
  });

  it('an error of any text is explained in bounds', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('forbidden', 'invalid', 'unreachable', 'already-exists'),
        fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...NOISE)),
        (kind, message) => {
          const said = explainApiError({ kind, message }, { name: message, namespace: message });
          runParams.parse(said?.params);
          expect(Buffer.byteLength(said?.excerpt ?? '')).toBeLessThanOrEqual(1_024);
        },
      ),
    );
  });

  it('a huge text is read in a moment', () => {
    const huge = `0/9 nodes are available: ${'1 Insufficient x, '.repeat(100_000)}`;
    const before = process.cpuUsage();
    explainWaiting(golden.view({ pods: [unplaced(huge)], events: [event('FailedCreate', huge)] }));
    explainEnd(golden.view({ pods: [exited(1, huge)] }), []);
    const { user } = process.cpuUsage(before); // the machine may have other work
    expect(user / 1_000).toBeLessThan(1_000);
  });
});

describe('the sentence of a reason', () => {
  it.each(RUN_REASONS)('%s stands without any value', (reason) => {
    const said = sentence(reason, {});
    expect(said).toMatch(/^[A-Z].*\.$/);
    expect(said).not.toMatch(/undefined|NaN|""|\s{2}| \./);
  });
});

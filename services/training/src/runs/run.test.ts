import { describe, expect, it } from '@jest/globals';
import { newId, runSpec } from '@luthier/contracts';
import type { ErrorCode, RunStatus } from '@luthier/contracts';
import { decideRetry } from './retry-policy.js';
import type { RetryDecision } from './retry-policy.js';
import { closed, ended, newRun, nextAttempt, specOf, stopped, withStatus } from './run.js';
import type { Run } from './run.js';

const run = newRun({
  id: newId('run'),
  jobId: newId('job'),
  stopGraceSeconds: 60,
  requestUri: 'artifact://runs/x/request.json',
  requestSha256: 'a'.repeat(64),
  resources: { nodes: 1, devicesPerNode: 0, deviceMemoryMib: 0, cpu: 2, memoryMib: 1, scratchMib: 0 },
  runtime: 'node',
  profile: 'local-cpu',
  priority: 0,
  deadlineSeconds: 60,
});
const status = (patch: Partial<RunStatus> = {}): RunStatus => ({
  runId: run.id,
  attempt: 1,
  incarnation: 1,
  observedGeneration: 1,
  phase: 'running',
  reason: 'process-running',
  message: '',
  pods: [],
  ...patch,
});

describe('the projection', () => {
  it('matches the contract, and its generation rises with every change', () => {
    const steps = [run, stopped(run, 'pause'), nextAttempt(ended(stopped(run, 'pause'))), closed(run, '2026-01-01')];
    for (const each of steps) expect(runSpec.parse(specOf(each)).generation).toBe(each.generation);
    expect(steps[2]?.generation).toBe(3);
    expect(specOf(steps[2] ?? run).desired).toBe('running');
  });

  it('notes what was seen once, so that status and spec do not chase each other', () => {
    const first = withStatus(run, status({ phase: 'creating' }));
    expect(first?.generation).toBe(2);
    const second = withStatus(first ?? run, status({ objectUid: 'u' }));
    expect(specOf(second ?? run).seen).toEqual({ attempt: 1, objectUid: 'u' });
    expect(withStatus(second ?? run, status({ objectUid: 'u', observedGeneration: 3 }))?.generation).toBe(3);
  });
});

describe('a status', () => {
  it('of another attempt, after the end, or of a finished run is ignored', () => {
    const second = nextAttempt(ended(run));
    expect(withStatus(second, status())).toBeUndefined();
    expect(withStatus(ended(run), status())).toBeUndefined();
    expect(withStatus(closed(run, '2026-01-01'), status())).toBeUndefined();
    const over = withStatus(run, status({ phase: 'ended', reason: 'failed' }));
    expect(withStatus(over ?? run, status())).toBeUndefined();
  });
});

const attempts = (code: ErrorCode, interrupted: boolean, newest: (attempt: number) => number | null): number => {
  let current: Run = run;
  for (let count = 1; count < 100; count += 1) {
    const end = { code, message: '', step: undefined, endedAt: '', interrupted };
    const decision: RetryDecision = decideRetry(current, end, newest(count), 'failed');
    if (!decision.retry) return count;
    current = nextAttempt(ended(current), decision.counters);
  }
  return Number.POSITIVE_INFINITY;
};

describe('attempts', () => {
  it('end after three retries in a row without a new checkpoint', () => {
    expect(attempts('runtime.killed', false, () => null)).toBe(4);
    expect(attempts('storage.unreachable', false, () => 5)).toBe(4);
  });
  it('go on as long as there are new checkpoints', () => {
    expect(attempts('runtime.killed', false, (attempt) => attempt)).toBe(Number.POSITIVE_INFINITY);
  });
  it('are not charged for interruptions', () => {
    expect(attempts('runtime.interrupted', true, () => null)).toBe(31);
  });
  it('follow a crash once, and a fault of the user never', () => {
    expect(attempts('runtime.crashed', false, () => null)).toBe(2);
    for (const code of ['data.bad', 'config.bad', 'device.out-of-memory', 'host.out-of-memory', 'disk.full'] as const) {
      expect(attempts(code, false, () => null)).toBe(1);
    }
  });
});

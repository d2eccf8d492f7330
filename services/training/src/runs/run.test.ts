import { describe, expect, it } from '@jest/globals';
import { newId, runSpec } from '@luthier/contracts';
import type { ErrorCode, RunOutcome, RunReason, RunStatus } from '@luthier/contracts';
import { decideRetry, endOf } from './retry-policy.js';
import type { RetryDecision } from './retry-policy.js';
import { closed, ended, isSetBack, newRun, nextAttempt, restarting, specOf, stopped, withStatus } from './run.js';
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

describe('a run that a queue outside has suspended', () => {
  it('is where its status says, not where lines of the set that was taken away say', () => {
    const suspended = { ...run, status: status({ phase: 'queued', incarnation: 1 }) };
    expect(isSetBack(suspended, 1)).toBe(true);
    expect(isSetBack(suspended, 2)).toBe(false);
    expect(isSetBack({ ...run, status: status() }, 1)).toBe(false);
    expect(isSetBack(run, 1)).toBe(false);
  });
});

describe('the projection', () => {
  it('matches the contract, and its generation rises with every change', () => {
    const steps = [run, stopped(run, 'pause'), nextAttempt(ended(stopped(run, 'pause'))), closed(run, '2026-01-01')];
    for (const each of steps) expect(runSpec.parse(specOf(each)).generation).toBe(each.generation);
    expect(steps[2]?.generation).toBe(3);
    expect(specOf(steps[2] ?? run).desired).toBe('running');
  });

  it('that is restarted ends its attempt, and the next one begins away from the nodes named', () => {
    const ordered = restarting({ ...run, retries: 2, interruptions: 1 }, ['a', 'b']);
    expect(specOf(ordered)).toMatchObject({ attempt: 1, desired: 'stopped', stopReason: 'restart' });
    const next = nextAttempt(ordered);
    expect(specOf(next)).toMatchObject({ attempt: 2, desired: 'running', avoidNodes: ['a', 'b'] });
    expect(specOf(next)).not.toHaveProperty('stopReason');
    expect(next).toMatchObject({ retries: 2, interruptions: 1 });
    expect(specOf(restarting(next, []))).not.toHaveProperty('avoidNodes');
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

describe('the end of an attempt', () => {
  const outcome = (patch: Partial<RunOutcome> = {}): RunOutcome => ({
    attempt: 1,
    incarnation: 1,
    message: 'Its own words.',
    step: 7,
    lastSeq: {},
    eventFiles: [],
    ...patch,
  });
  const endWith = (reason: RunReason, given?: RunOutcome) =>
    endOf(status({ phase: 'ended', reason, message: 'The trainer’s words.', ...(given && { outcome: given }) }), 'now');

  it.each<[RunReason, ErrorCode, boolean]>([
    ['waiting-for-gpus', 'cluster.no-capacity', true],
    ['partial-gang', 'cluster.no-capacity', true],
    ['preempted', 'cluster.preempted', true],
    ['evicted', 'cluster.evicted', true],
    ['node-lost', 'cluster.node-lost', false],
    ['gpu-fault', 'cluster.gpu-fault', false],
    ['stalled', 'run.stalled', false],
    ['image-pull', 'cluster.image-unavailable', false],
    ['quota-exceeded', 'cluster.quota-exceeded', false],
    ['deleted-externally', 'run.deleted-externally', false],
    ['device-out-of-memory', 'device.out-of-memory', false],
    ['not-started', 'runtime.interrupted', false],
    ['failed', 'runtime.crashed', false],
  ])('for %s and without an outcome is %s', (reason, code, interrupted) => {
    expect(endWith(reason)).toMatchObject({ code, interrupted, message: 'The trainer’s words.' });
  });

  it('is what the process says of itself when that is its own fault', () => {
    const given = outcome({ code: 'device.out-of-memory', hint: 'Smaller.' });
    const said = { code: 'device.out-of-memory', message: 'Its own words.', hint: 'Smaller.', step: 7 };
    expect(endWith('node-lost', given)).toMatchObject(said);
  });

  it('is what was done to the process when its own end only followed', () => {
    const said = { code: 'cluster.preempted', message: 'The trainer’s words.', step: 7, interrupted: true };
    expect(endWith('preempted', outcome({ code: 'runtime.killed' }))).toMatchObject(said);
    expect(endWith('stalled', outcome({ code: 'runtime.interrupted' })).code).toBe('run.stalled');
  });

  it('is success with a result, whatever the cluster did meanwhile', () => {
    const result = { mode: 'export', artifactDir: 'x' } as unknown as NonNullable<RunOutcome['result']>;
    expect(endWith('evicted', outcome({ result })).code).toBeUndefined();
    expect(endWith('succeeded', outcome({ result })).code).toBeUndefined();
  });

  it('by the cluster’s doing leads to attempts as far as it is nobody’s fault', () => {
    expect(attempts('cluster.node-lost', false, () => null)).toBe(4);
    expect(attempts('cluster.gpu-fault', false, () => null)).toBe(4);
    expect(attempts('run.stalled', false, () => null)).toBe(4);
    expect(attempts('cluster.preempted', true, () => null)).toBe(31);
    expect(attempts('cluster.no-capacity', true, () => null)).toBe(31);
    expect(attempts('cluster.node-pressure', false, () => null)).toBe(2);
    for (const code of [
      'cluster.image-unavailable',
      'cluster.config-missing',
      'cluster.quota-exceeded',
      'cluster.refused',
      'cluster.queue-rejected',
      'cluster.too-small',
      'run.deleted-externally',
    ] as const) {
      expect(attempts(code, false, () => null)).toBe(1);
    }
  });
});

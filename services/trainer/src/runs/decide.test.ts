import { describe, expect, it } from '@jest/globals';
import type { RunSpec, RunStatus } from '@luthier/contracts';
import { decide, objectNameOf, stopMessage, terminalReason } from './decide.js';
import type { Action, Observed } from './decide.js';
import type { Observation } from './run-executor.js';

const NOW = Date.parse('2026-01-01T00:00:00.000Z');
const RUN = 'run-abcdefghijklmnopqrst';
const NAME = 'ft-abcdefghijklmnopqrst-1';

const spec = (over: Partial<RunSpec> = {}): RunSpec => ({
  runId: RUN,
  owner: { kind: 'job', id: 'ftjob-abcdefghijklmnopqrst' },
  attempt: 1,
  generation: 1,
  desired: 'running',
  stopGraceSeconds: 30,
  checkpointRequest: 0,
  requestUri: `artifact://runs/${RUN}/request.json`,
  requestSha256: 'a'.repeat(64),
  resources: { nodes: 1, devicesPerNode: 0, deviceMemoryMib: 0, cpu: 1, memoryMib: 100, scratchMib: 0 },
  runtime: 'runtime-node',
  profile: 'local-cpu',
  queue: 'internal',
  priority: 0,
  deadlineSeconds: 3600,
  ...over,
});
const status = (over: Partial<RunStatus> = {}): RunStatus => ({
  runId: RUN,
  attempt: 1,
  incarnation: 1,
  observedGeneration: 1,
  phase: 'starting',
  reason: 'process-starting',
  message: '',
  objectName: NAME,
  objectUid: 'uid',
  pods: ['pod'],
  ...over,
});
const creating = (): RunStatus => {
  const { objectUid: _, ...rest } = status({ phase: 'creating', incarnation: 0, pods: [] });
  return rest;
};
const ABSENT: Observation = { state: 'absent' };
const live = (over: Partial<Observation & { state: 'live' }> = {}): Observation => ({
  state: 'live',
  objectUid: 'uid',
  pods: ['pod'],
  training: false,
  ...over,
});
const seen = (object: Observation, over: Partial<Observed> = {}): Observed => ({
  now: NOW,
  object,
  runningMs: 0,
  ...over,
});
const since = (agoMs: number): string => stopMessage('cancel', NOW - agoMs);

describe('decide', () => {
  it('a run that trains on a node in trouble says so, once, and says when it is over', () => {
    const trouble = { phase: 'running' as const, reason: 'node-lost' as const, message: 'Node "n" stopped answering.' };
    const inTrouble = seen(live({ training: true, progress: trouble }));
    const running = status({ phase: 'running', reason: 'process-running', message: 'The run is training.' });
    expect(decide(spec(), running, inTrouble)).toEqual({ type: 'update', ...trouble });
    expect(decide(spec(), status(trouble), inTrouble)).toMatchObject({ type: 'none' });
    const over = decide(spec(), status(trouble), seen(live({ training: true })));
    expect(over).toMatchObject({ type: 'update', phase: 'running', reason: 'process-running' });
  });

  it.each<[string, RunSpec | undefined, RunStatus | undefined, Observed, Partial<Action>]>([
    ['a missing spec never stops a live run', undefined, status(), seen(live()), { type: 'none' }],
    [
      'a new run is announced before it is created',
      spec(),
      undefined,
      seen(ABSENT),
      { type: 'announce', objectName: NAME },
    ],
    ['an announced run is created', spec(), creating(), seen(ABSENT), { type: 'create', objectName: NAME }],
    [
      'the leftovers of an interrupted creation are created over',
      spec(),
      creating(),
      seen({ state: 'orphaned' }),
      { type: 'create' },
    ],
    ['a created run is placed', spec(), creating(), seen(live()), { type: 'place', objectUid: 'uid', pods: ['pod'] }],
    [
      'what was never let go is created again, which tells whether it is the run’s',
      spec(),
      creating(),
      seen(live({ held: true })),
      { type: 'create', objectName: NAME },
    ],
    [
      'the same when the announcement was lost',
      spec(),
      undefined,
      seen(live({ held: true })),
      { type: 'announce', objectName: NAME },
    ],
    [
      'what training has seen is not created again',
      spec({ seen: { attempt: 1, objectUid: 'uid' } }),
      undefined,
      seen(live({ held: true })),
      { type: 'place', objectUid: 'uid' },
    ],
    [
      'an object that is not the one that training has seen never begins',
      spec({ seen: { attempt: 1, objectUid: 'another' } }),
      undefined,
      seen(live({ held: true })),
      { type: 'kill' },
    ],
    [
      'an object on its way out is waited for before it is created again',
      spec(),
      creating(),
      seen(live({ held: true, leaving: true })),
      { type: 'none', lookAgainInMs: 1_000 },
    ],
    [
      'a run that died before it was placed is collected',
      spec(),
      creating(),
      seen({ state: 'ended' }),
      { type: 'collect' },
    ],
    [
      'a run seen by training and without status is never created',
      spec({ seen: { attempt: 1 } }),
      undefined,
      seen(ABSENT),
      { type: 'collect' },
    ],
    [
      'a next attempt is created although the last one was seen',
      spec({ attempt: 2, seen: { attempt: 1 } }),
      status({ phase: 'ended' }),
      seen(ABSENT),
      { type: 'announce', objectName: objectNameOf(RUN, 2) },
    ],
    [
      'a status put back from an older attempt does not lead to a second creation',
      spec({ attempt: 2, seen: { attempt: 2 } }),
      status({ phase: 'ended' }),
      seen(ABSENT),
      { type: 'collect' },
    ],
    [
      'an object without a status is collected, not doubled',
      spec(),
      undefined,
      seen({ state: 'orphaned' }),
      { type: 'collect' },
    ],
    ['a live run whose status was lost gets it back', spec(), undefined, seen(live()), { type: 'place' }],
    [
      'an older attempt that still lives is ended first',
      spec({ attempt: 2 }),
      status(),
      seen(ABSENT, { olderObject: live() }),
      { type: 'collect' },
    ],
    ['a stale spec is passed over', spec(), status({ attempt: 2 }), seen(ABSENT), { type: 'none' }],
    [
      'a stop before anything exists ends at once',
      spec({ desired: 'stopped' }),
      undefined,
      seen(ABSENT),
      { type: 'end', reason: 'stopped' },
    ],
    [
      'a stop after the announcement ends at once',
      spec({ desired: 'stopped' }),
      creating(),
      seen(ABSENT),
      { type: 'end', reason: 'stopped' },
    ],
    [
      'a live run that should stop is told so',
      spec({ desired: 'stopped', stopReason: 'pause' }),
      status({ phase: 'running', reason: 'process-running' }),
      seen(live()),
      { type: 'order-stop', reason: 'pause' },
    ],
    [
      'a stopping run has its grace',
      spec({ desired: 'stopped' }),
      status({ phase: 'stopping', reason: 'stop-requested', message: since(10_000) }),
      seen(live()),
      { type: 'none', lookAgainInMs: 20_000 },
    ],
    [
      'a stopping run beyond its grace is killed',
      spec({ desired: 'stopped' }),
      status({ phase: 'stopping', reason: 'stop-requested', message: since(30_000) }),
      seen(live()),
      { type: 'kill' },
    ],
    [
      'a run that is restarted from a silent node gets no grace: nothing there hears of it',
      spec({ desired: 'stopped', stopReason: 'restart' }),
      status({ phase: 'stopping', reason: 'stop-requested', message: since(0) }),
      seen(live({ cutOff: true })),
      { type: 'kill' },
    ],
    [
      'a run that is restarted from a node that answers has its grace',
      spec({ desired: 'stopped', stopReason: 'restart' }),
      status({ phase: 'stopping', reason: 'stop-requested', message: since(10_000) }),
      seen(live()),
      { type: 'none', lookAgainInMs: 20_000 },
    ],
    [
      'a run that is paused on a silent node has its grace: it may come back and save',
      spec({ desired: 'stopped', stopReason: 'pause' }),
      status({ phase: 'stopping', reason: 'stop-requested', message: since(10_000) }),
      seen(live({ cutOff: true })),
      { type: 'none', lookAgainInMs: 20_000 },
    ],
    [
      'a run beyond its deadline is stopped',
      spec(),
      status({ phase: 'running', reason: 'process-running' }),
      seen(live(), { runningMs: 3_600_000 }),
      { type: 'order-stop', reason: 'deadline' },
    ],
    [
      'a run before its deadline is looked at then',
      spec(),
      status({ phase: 'running', reason: 'process-running' }),
      seen(live({ training: true }), { runningMs: 1_000_000 }),
      { type: 'none', lookAgainInMs: 2_600_000 },
    ],
    [
      'a run that trains is shown as running',
      spec(),
      status(),
      seen(live({ training: true })),
      { type: 'update', phase: 'running' },
    ],
    [
      'a new generation is answered',
      spec({ generation: 4 }),
      status({ phase: 'running', reason: 'process-running' }),
      seen(live({ training: true })),
      { type: 'update', phase: 'running' },
    ],
    [
      'an ended process is collected',
      spec(),
      status({ phase: 'running', reason: 'process-running' }),
      seen({ state: 'ended' }),
      { type: 'collect' },
    ],
    [
      'an orphan is collected',
      spec(),
      status({ phase: 'running', reason: 'process-running' }),
      seen({ state: 'orphaned' }),
      { type: 'collect' },
    ],
    [
      'a vanished object is collected',
      spec(),
      status({ phase: 'running', reason: 'process-running' }),
      seen(ABSENT),
      { type: 'collect' },
    ],
    [
      'an object that is not the one in the status is killed',
      spec(),
      status(),
      seen(live({ objectUid: 'other' })),
      { type: 'kill' },
    ],
    ['an ended run stays ended', spec(), status({ phase: 'ended' }), seen(ABSENT), { type: 'none' }],
    ['a process of an ended run is killed', spec(), status({ phase: 'ended' }), seen(live()), { type: 'kill' }],
    ['a closed run is only removed', spec({ closed: true }), status(), seen(live()), { type: 'remove' }],
    [
      'a closed run is removed with what another attempt has left',
      spec({ closed: true }),
      undefined,
      seen(ABSENT, { leftovers: true }),
      { type: 'remove' },
    ],
    [
      'what is leaving of an ended run is not killed again and again',
      spec(),
      status({ phase: 'ended' }),
      seen(live({ leaving: true })),
      { type: 'none' },
    ],
    ['a closed run without an object is left alone', spec({ closed: true }), undefined, seen(ABSENT), { type: 'none' }],
  ])('%s', (_name, wanted, written, observed, action) => {
    expect(decide(wanted, written, observed)).toMatchObject(action);
  });
});

describe('terminalReason', () => {
  it.each([
    ['success', spec(), { found: true, missing: false }, 'succeeded'],
    ['success while a stop was asked for', spec({ desired: 'stopped' }), { found: true, missing: false }, 'succeeded'],
    [
      'a fault while a stop was asked for',
      spec({ desired: 'stopped' }),
      { found: true, missing: false, code: 'data.bad' },
      'stopped',
    ],
    ['a fault', spec(), { found: true, missing: false, code: 'data.bad' }, 'failed'],
    ['nothing left of an object', spec(), { found: false, missing: true }, 'deleted-externally'],
    [
      'nothing left, and a stop was asked for',
      spec({ desired: 'stopped' }),
      { found: false, missing: true },
      'stopped',
    ],
  ] as const)('%s', (_name, wanted, left, reason) => {
    expect(terminalReason(wanted, status(), left)).toBe(reason);
  });

  it('says not-started when no object ever existed', () => {
    expect(terminalReason(spec({ seen: { attempt: 1 } }), undefined, { found: false, missing: true })).toBe(
      'not-started',
    );
  });
  it('says deleted-externally when only training remembers the object', () => {
    const wanted = spec({ seen: { attempt: 1, objectUid: 'uid' } });
    expect(terminalReason(wanted, undefined, { found: false, missing: true })).toBe('deleted-externally');
  });
  it('keeps the deadline as the reason of the stop it caused', () => {
    const late = status({ reason: 'deadline-exceeded' });
    expect(terminalReason(spec(), late, { found: true, missing: false, code: 'runtime.interrupted' })).toBe(
      'deadline-exceeded',
    );
  });
});

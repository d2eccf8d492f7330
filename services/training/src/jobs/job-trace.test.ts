import { describe, expect, it } from '@jest/globals';
import type { Job } from './job.js';
import { endedBetween, enteringPhase } from './job-trace.js';

const START = '2026-01-01T00:00:00.000Z';
const LATER = '2026-01-01T00:01:00.000Z';
const NOW = '2026-01-01T00:02:00.000Z';
const PARENT = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
const OPEN = { attempt: 1, startedAt: LATER, endedAt: null, code: null, message: '', resumedFromStep: null };

const job = (patch: Partial<Job>): Job =>
  ({
    ...{ id: 'ftjob-1', status: 'running', phase: 'training', runId: 'run-1', attempts: [OPEN], error: null },
    ...{ trace: PARENT, phaseSince: START },
    ...patch,
  }) as Job;

describe('the trace of a job', () => {
  it('has each phase that was left, from when it was entered', () => {
    const entered = enteringPhase(job({}), job({ phase: 'saving' }), LATER);
    expect(entered.phaseSince).toBe(LATER);
    expect(enteringPhase(entered, { ...entered, message: 'still' }, NOW).phaseSince).toBe(LATER);
    expect(endedBetween(job({}), entered, LATER)).toEqual([
      {
        ...{ name: 'training', parent: PARENT, startedAt: START, endedAt: LATER, errorCode: undefined },
        attributes: { 'luthier.job_id': 'ftjob-1', 'luthier.run_id': 'run-1' },
      },
    ]);
  });

  it('has each attempt that has ended, with the code that ended it, once', () => {
    const ended = job({ attempts: [{ ...OPEN, endedAt: NOW, code: 'runtime.killed' }] });
    expect(endedBetween(job({}), ended, NOW)).toMatchObject([
      { name: 'attempt 1', startedAt: LATER, endedAt: NOW, errorCode: 'runtime.killed' },
    ]);
    expect(endedBetween(ended, ended, NOW)).toEqual([]);
  });

  it('has an attempt whose start is learned with its end', () => {
    const before = job({ attempts: [{ ...OPEN, startedAt: null }] });
    const ended = job({ attempts: [{ ...OPEN, endedAt: NOW }] });
    expect(endedBetween(before, ended, NOW)).toMatchObject([{ name: 'attempt 1', startedAt: LATER, endedAt: NOW }]);
  });

  it('ends with the error of a job that failed', () => {
    const error = { code: 'data.bad', message: '', hint: '' } as unknown as Job['error'];
    expect(endedBetween(job({}), job({ status: 'failed', error }), NOW)).toMatchObject([
      { name: 'training', errorCode: 'data.bad' },
    ]);
  });

  it('is not there where the request was not traced', () => {
    expect(endedBetween(job({ trace: null }), job({ phase: 'saving' }), NOW)).toEqual([]);
  });
});

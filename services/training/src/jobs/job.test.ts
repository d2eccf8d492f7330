import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { JOB_PHASES, JOB_STATUSES, isTerminalJobStatus, newId } from '@luthier/contracts';
import { advise } from '@luthier/planner';
import {
  IllegalTransition,
  STATUS_TRANSITIONS,
  cancelled,
  done,
  failed,
  move,
  paused,
  prepared,
  queued,
  registered,
  resumed,
  retried,
  shrunk,
  stopAsked,
  trained,
  validated,
} from './job.js';
import type { Job } from './job.js';

const sha256 = 'a'.repeat(64);

function newJob(): Job {
  const { tuning, hyperparameters, cutoffLength } = advise({
    shape: null,
    rows: null,
    requested: { method: { type: 'supervised' }, hyperparameters: {}, tuning: null, cutoffLength: null },
  });
  const id = newId('job');
  return {
    id,
    status: 'validating_files',
    phase: 'validating',
    message: '',
    revision: 1,
    createdAt: '2026-01-01T00:00:00.000Z',
    finishedAt: null,
    request: {
      jobId: id,
      model: 'm',
      trainingFile: newId('file'),
      validationFile: null,
      generalFile: null,
      mix: null,
      suffix: null,
      seed: null,
      metadata: {},
      method: { type: 'supervised' },
      tuning: null,
      hyperparameters: {},
      cutoffLength: null,
      autoFix: false,
    },
    seed: 1,
    tuning,
    hyperparameters,
    cutoffLength,
    advice: [],
    base: null,
    trainDatasetId: null,
    heldOutDatasetId: null,
    train: null,
    heldOut: null,
    plan: null,
    runId: null,
    intent: 'run',
    progress: null,
    progressToldAtMs: 0,
    attempts: [],
    trainedTokens: null,
    result: null,
    artifact: null,
    tunedModelId: null,
    fineTunedModel: null,
    evaluationId: null,
    evaluatingSince: null,
    fixes: 0,
    error: null,
  };
}

const now = '2026-01-01T00:00:01.000Z';
const data = {
  id: newId('dataset'),
  rows: 1,
  tokens: 1,
  trainedTokens: 1,
  longestRowTokens: 1,
  longestPassTokens: 1,
  artifact: { uri: 'artifact://datasets/x', sha256 },
};
const TRANSITIONS: readonly ((job: Job) => Job)[] = [
  (job) => validated(job, job),
  (job) => prepared(job, data, null),
  (job) => queued(job, null, newId('run')),
  (job) => move(job, { status: 'running', phase: 'scheduling', message: '' }),
  (job) => move(job, { phase: 'training', message: '' }),
  (job) => retried(job, 2, 'runtime.killed', 5),
  (job) => shrunk(job, newId('run'), { ...job, title: 'Rank 8', change: {}, totalMib: 1, memoryCapMib: 1 }),
  (job) => shrunk(job, newId('run'), { ...job, cutoffLength: 64, title: '', change: {}, totalMib: 1, memoryCapMib: 1 }),
  (job) => stopAsked(job, 'pause'),
  (job) => paused(job, null),
  (job) => resumed(job),
  (job) => cancelled(job, now, null),
  (job) => failed(job, now, { code: 'internal', message: '', hint: '', change: {} }),
  (job) => trained(job, job),
  (job) => registered(job, { id: newId('model'), name: 'n' }, now),
  (job) => done(job, now, ''),
];

describe('a job', () => {
  it('never leaves a terminal status, and takes only listed ways, whatever is tried in whatever order', () => {
    const tries = fc.array(fc.nat(TRANSITIONS.length - 1), { maxLength: 60 });
    fc.assert(
      fc.property(tries, (indexes) => {
        let job = newJob();
        for (const index of indexes) {
          const before = job;
          try {
            job = TRANSITIONS[index]?.(job) ?? job;
          } catch (cause) {
            expect(cause).toBeInstanceOf(IllegalTransition);
            continue;
          }
          expect(isTerminalJobStatus(before.status)).toBe(false);
          expect([before.status, ...STATUS_TRANSITIONS[before.status]]).toContain(job.status);
          expect(job.revision).toBe(before.revision + 1);
        }
      }),
    );
  });

  it('moves nowhere from any terminal status', () => {
    for (const status of JOB_STATUSES.filter(isTerminalJobStatus)) {
      for (const to of JOB_STATUSES) {
        for (const phase of JOB_PHASES) {
          expect(() => move({ ...newJob(), status }, { status: to, phase, message: '' })).toThrow(IllegalTransition);
        }
      }
    }
  });
});

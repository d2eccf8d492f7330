import { describe, expect, it } from '@jest/globals';
import { canPause, canRestart, isInTrouble, progressShare, stageStates } from './job-state';

const states = (...job: Parameters<typeof stageStates>): string =>
  stageStates(...job)
    .map(({ state }) => state[0])
    .join('');

describe('stages of a job', () => {
  it('what is behind is done, what comes is ahead', () => {
    expect(states({ status: 'validating_files', phase: 'validating' })).toBe('caaaaaaa');
    expect(states({ status: 'running', phase: 'training' })).toBe('ddddcaaa');
    expect(states({ status: 'running', phase: 'evaluating' })).toBe('dddddddc');
  });

  it('queued, scheduling and starting are one wait', () => {
    for (const phase of ['queued', 'scheduling', 'starting'] as const) {
      expect(states({ status: 'queued', phase })).toBe('dddcaaaa');
    }
  });

  it('a rehearsal is a stage of the jobs that have one, until the run itself waits', () => {
    const rehearsal = { run_id: 'run-1', state: 'running' } as const;
    for (const phase of ['queued', 'scheduling', 'starting'] as const) {
      expect(states({ status: 'running', phase, rehearsal })).toBe('dddcaaaaa');
    }
    expect(states({ status: 'failed', phase: 'starting', rehearsal })).toBe('dddfaaaaa');
    expect(states({ status: 'queued', phase: 'queued', rehearsal: { ...rehearsal, state: 'done' } })).toBe('ddddcaaaa');
  });

  it('a failed job shows where it broke, a cancelled one claims nothing', () => {
    expect(states({ status: 'failed', phase: 'training' })).toBe('ddddfaaa');
    expect(states({ status: 'cancelled', phase: 'training' })).toBe('ddddaaaa');
    expect(states({ status: 'succeeded', phase: 'done' })).toBe('dddddddd');
  });
});

describe('what can be ordered of a job', () => {
  const running = { status: 'running', phase: 'training', message: 'Training', placement: null } as const;

  it('is a restart while an attempt is there that nobody has asked to end', () => {
    for (const phase of ['scheduling', 'starting', 'training', 'saving'] as const) {
      expect(canRestart({ ...running, phase })).toBe(true);
    }
    expect(canRestart({ ...running, phase: 'evaluating' })).toBe(false);
    expect(canRestart({ ...running, status: 'paused', phase: 'queued' })).toBe(false);
    for (const message of ['Pausing', 'Cancelling', 'Restarting'])
      expect(canRestart({ ...running, message })).toBe(false);
  });

  it('is a pause also while it is restarted', () => {
    expect(canPause({ ...running, message: 'Restarting' })).toBe(true);
    expect(canPause({ ...running, message: 'Cancelling' })).toBe(false);
  });

  it('is urged where the node is lost or nothing moves', () => {
    const said = (reason: 'node-lost' | 'stalled' | 'waiting-for-gpus') =>
      isInTrouble({ ...running, placement: { reason, params: {}, message: '', excerpt: null } });
    expect(said('node-lost') && said('stalled')).toBe(true);
    expect(said('waiting-for-gpus') || isInTrouble(running)).toBe(false);
  });
});

describe('progress of a job', () => {
  const progress = {
    step: 3,
    total_steps: 12,
    epoch: 1,
    loss: 1,
    tokens_per_second: 1,
    seconds_left: 1,
    memory_mib: 1,
  };

  it('is the share of its steps', () => {
    expect(progressShare({ status: 'running', progress })).toBe(0.25);
    expect(progressShare({ status: 'succeeded', progress: null })).toBe(1);
  });

  it('is unknown before the first step', () => {
    expect(progressShare({ status: 'queued', progress: null })).toBeNull();
    expect(progressShare({ status: 'running', progress: { ...progress, step: 0, total_steps: 0 } })).toBeNull();
  });
});

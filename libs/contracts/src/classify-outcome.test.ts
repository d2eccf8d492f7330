import { describe, expect, it } from '@jest/globals';
import { classifyEnd, codeOfStorageError, moreTelling } from './classify-outcome.js';
import type { RuntimeEnd } from './classify-outcome.js';
import { AppError } from './errors.js';

const end = (over: Partial<RuntimeEnd>): RuntimeEnd => ({
  exitCode: 0,
  signal: null,
  hasResult: false,
  oomKilled: false,
  ...over,
});
const failed = (code: 'data.bad' | 'runtime.interrupted' | 'collective.failed') => ({
  code,
  message: 'said so',
  hint: 'do this',
  step: 3,
});

describe('classifyEnd', () => {
  it.each<[string, RuntimeEnd, string | undefined]>([
    ['0 with a result is success', end({ hasResult: true }), undefined],
    ['0 without a result is a crash', end({}), 'runtime.crashed'],
    ['40', end({ exitCode: 40 }), 'data.bad'],
    ['41', end({ exitCode: 41 }), 'config.bad'],
    ['42', end({ exitCode: 42 }), 'device.out-of-memory'],
    ['43', end({ exitCode: 43 }), 'training.diverged'],
    ['44', end({ exitCode: 44 }), 'model.unreadable'],
    ['45', end({ exitCode: 45 }), 'disk.full'],
    ['50', end({ exitCode: 50 }), 'storage.unreachable'],
    ['51', end({ exitCode: 51 }), 'collective.failed'],
    ['60', end({ exitCode: 60 }), 'runtime.interrupted'],
    ['an unknown status is a crash', end({ exitCode: 1 }), 'runtime.crashed'],
    ['a signal', end({ exitCode: null, signal: 'SIGSEGV' }), 'runtime.killed'],
    ['SIGKILL', end({ exitCode: null, signal: 'SIGKILL' }), 'runtime.killed'],
    [
      'SIGKILL by the kernel for memory',
      end({ exitCode: null, signal: 'SIGKILL', oomKilled: true }),
      'host.out-of-memory',
    ],
    ['137 of a wrapper, for memory', end({ exitCode: 137, oomKilled: true }), 'host.out-of-memory'],
    ['143 of a wrapper', end({ exitCode: 143 }), 'runtime.killed'],
    [
      'another process killed for memory does not colour a plain crash',
      end({ exitCode: 1, oomKilled: true }),
      'runtime.crashed',
    ],
    ['a failed line says more than the status', end({ exitCode: 1, failed: failed('data.bad') }), 'data.bad'],
    ['a failed line counts even when the process says 0', end({ exitCode: 0, failed: failed('data.bad') }), 'data.bad'],
    [
      'memory says more than a lost peer',
      end({ exitCode: null, signal: 'SIGKILL', oomKilled: true, failed: failed('collective.failed') }),
      'host.out-of-memory',
    ],
    [
      'a failed line after a result still fails',
      end({ exitCode: 0, hasResult: true, failed: failed('runtime.interrupted') }),
      'runtime.interrupted',
    ],
  ])('%s', (_name, input, code) => {
    const classified = classifyEnd(input);
    expect(classified.code).toBe(code);
    expect(classified.message).not.toBe('');
    if (code !== undefined) expect(classified.hint).not.toBe('');
  });
});

describe('the end of several ranks', () => {
  it.each<[string, Partial<RuntimeEnd>, string]>([
    [
      'a signal',
      { exitCode: 137, ranks: { '0': 51, '1': 'SIGKILL' } },
      'The training process was killed (rank 1, signal SIGKILL).',
    ],
    [
      'a signal on a machine with a name',
      { exitCode: 137, ranks: { '1': 'SIGKILL' }, machine: 'gpu-2' },
      'The training process was killed (rank 1, node "gpu-2", signal SIGKILL).',
    ],
    [
      'a single process on a machine with a name',
      { exitCode: null, signal: 'SIGKILL', machine: 'gpu-2' },
      'The training process was killed (node "gpu-2", signal SIGKILL).',
    ],
    [
      'a crash',
      { exitCode: 1, ranks: { '2': 'SIGTERM', '3': 1 } },
      'The training process ended without a reason (rank 3, exit status 1).',
    ],
    [
      'the launcher’s own signal, where there is no other',
      { exitCode: 143, ranks: { '0': 'SIGTERM' } },
      'The training process was killed (rank 0, signal SIGTERM).',
    ],
    [
      'a status that no rank has',
      { exitCode: 1, ranks: { '0': 0 } },
      'The training process ended without a reason (exit status 1).',
    ],
  ])('names the rank and the machine: %s', (_name, over, message) =>
    expect(classifyEnd(end(over)).message).toBe(message),
  );

  it('is said by the fault that is the cause, whichever line was read last', () => {
    const [cause, consequence] = [failed('data.bad'), failed('collective.failed')];
    expect(moreTelling(undefined, cause)).toBe(cause);
    expect(moreTelling(cause, consequence)).toBe(cause);
    expect(moreTelling(consequence, cause)).toBe(cause);
    expect(moreTelling(cause, { ...cause })).toBe(cause);
  });
});

describe('codeOfStorageError', () => {
  it.each([
    [Object.assign(new Error('no space'), { code: 'ENOSPC' }), 'disk.full'],
    [Object.assign(new Error('too big'), { code: 'EFBIG' }), 'disk.full'],
    [Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }), 'storage.unreachable'],
    [new AppError('disk.full'), 'disk.full'],
    [new Error('?'), 'storage.unreachable'],
  ] as const)('%s is %s', (cause, code) => {
    expect(codeOfStorageError(cause)).toBe(code);
  });
});

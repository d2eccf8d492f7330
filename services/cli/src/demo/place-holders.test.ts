import { expect, it } from '@jest/globals';
import { placeHolders, waitsForPlace } from './place-holders.js';

const job = (
  tail: string,
  status: 'running' | 'paused' | 'queued' | 'succeeded',
  message = 'Training: step 3 of 9',
) => ({
  ...{ id: `ftjob-${tail}`, status, suffix: 'support', model: 'smollm2-135m-instruct', message },
});

it('a demo that waits for a place names who has it, and how to pause or end that', () => {
  const jobs = [job('own', 'queued'), job('old', 'running'), job('kept', 'paused'), job('done', 'succeeded')];
  expect(placeHolders(jobs, 'ftjob-own', 'http://127.0.0.1:4180')).toEqual([
    'support (ftjob-old) has the place: Training: step 3 of 9',
    '  it goes on by itself; to pause or end it: http://127.0.0.1:4180/jobs/ftjob-old, or luthier cancel ftjob-old',
  ]);
});

it.each([
  ['Waiting for a free place on "local-cpu": 1 of 1 in use.', true],
  ['One job waits before this one.', true],
  ['Waiting for memory on "local-cpu": the run needs about 900 MiB, 300 MiB are free.', false],
  ['Training', false],
])('%s', (message, waits) => expect(waitsForPlace({ message })).toBe(waits));

import { describe, expect, it } from '@jest/globals';
import { ApiError } from '@luthier/api-client';
import { isNotFound, isPassing, isSignedOut, problemOf } from './problem';

const answered = (status: number): ApiError =>
  new ApiError(status, 'There is no such file', 'file.not-found', 'file_id', 'Upload it first.', 'req-1');

describe('what a failed call tells the reader', () => {
  it('the title and hint of the platform', () => {
    expect(problemOf(answered(404))).toEqual({
      title: 'There is no such file',
      hint: 'Upload it first.',
      code: 'file.not-found',
      requestId: 'req-1',
      obstacle: null,
    });
  });

  it('nothing of the inside of a program error', () => {
    expect(problemOf(new TypeError('x is not a function'))).toEqual({
      title: null,
      hint: null,
      code: null,
      requestId: null,
      obstacle: null,
    });
  });

  it('which faults pass by themselves', () => {
    expect([400, 401, 404, 409, 429, 500, 502, 503, 504].filter((s) => isPassing(answered(s)))).toEqual([
      429, 502, 503, 504,
    ]);
    expect(isPassing(new TypeError('Failed to fetch'))).toBe(true);
    expect(isSignedOut(answered(401))).toBe(true);
    expect(isNotFound(answered(404))).toBe(true);
  });
});

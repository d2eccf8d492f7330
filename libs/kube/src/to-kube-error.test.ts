import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KubeError } from './kube-error.js';
import type { KubeErrorKind } from './kube-error.js';
import { answerToKubeError, eventToKubeError, networkToKubeError, retryAfterMs } from './to-kube-error.js';

const status = (code: number, reason: string, details: object = {}): string =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'Why.', reason, details, code });

describe('answerToKubeError', () => {
  it.each<[number, string, KubeErrorKind]>([
    [400, 'BadRequest', 'invalid'],
    [401, 'Unauthorized', 'unauthorized'],
    [403, 'Forbidden', 'forbidden'],
    [404, 'NotFound', 'not-found'],
    [409, 'AlreadyExists', 'already-exists'],
    [409, 'Conflict', 'conflict'],
    [410, 'Expired', 'gone'],
    [415, 'UnsupportedMediaType', 'invalid'],
    [422, 'Invalid', 'invalid'],
    [429, 'TooManyRequests', 'throttled'],
    [500, 'InternalError', 'server-error'],
    [503, 'ServiceUnavailable', 'server-error'],
    [504, 'Timeout', 'timeout'],
  ])('%i %s is %s, with what the API said', (code, reason, kind) => {
    const error = answerToKubeError('Kubernetes: get jobs x', code, status(code, reason, { name: 'x' }));
    expect(error).toMatchObject({ kind, reason, status: code });
    expect(error.message).toBe(`Kubernetes: get jobs x (${code}): Why.`);
  });

  it('tells a kind that is not installed, which is answered in plain text, from an object that is not there', () => {
    expect(answerToKubeError('x', 404, '404 page not found\n').notServed).toBe(true);
    expect(answerToKubeError('x', 404, status(404, 'NotFound', {})).notServed).toBe(true);
    expect(answerToKubeError('x', 404, status(404, 'NotFound', { name: 'a' })).notServed).toBe(false);
  });

  it('names the fields that were refused', () => {
    const causes = [{ reason: 'FieldValueInvalid', message: 'field is immutable', field: 'spec.template' }];
    expect(answerToKubeError('x', 422, status(422, 'Invalid', { name: 'a', causes })).causes).toEqual(causes);
  });

  it('takes the rest that the server wants from the header, or else from the body', () => {
    const body = status(429, 'TooManyRequests', { retryAfterSeconds: 3 });
    expect(answerToKubeError('x', 429, body, '7').retryAfterMs).toBe(7_000);
    expect(answerToKubeError('x', 429, body).retryAfterMs).toBe(3_000);
    expect(answerToKubeError('x', 429, 'slow down').retryAfterMs).toBeUndefined();
  });

  it('makes a bounded error of any answer whatsoever, and never throws', () => {
    const anyBody = fc.oneof(
      fc.string(),
      fc.json(),
      fc.jsonValue().map((details) => status(500, 'X', { details })),
      fc.jsonValue().map((value) => JSON.stringify({ kind: 'Status', reason: value, message: value, details: value })),
      fc.jsonValue().map((value) => JSON.stringify({ kind: 'Status', details: { causes: [value], name: value } })),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 300, max: 599 }),
        anyBody,
        fc.option(fc.string(), { nil: undefined }),
        (code, body, rest) => {
          const error = answerToKubeError('x', code, body, rest);
          expect(error).toBeInstanceOf(KubeError);
          expect(error.message.length).toBeLessThan(1_100);
          expect(error.causes.length).toBeLessThanOrEqual(20);
        },
      ),
    );
    expect(answerToKubeError('x', 500, 'long '.repeat(100_000)).message.length).toBeLessThan(1_100);
  });
});

describe('eventToKubeError', () => {
  it('reads the expiry that comes inside an answer of status 200', () => {
    const object: unknown = JSON.parse(status(410, 'Expired'));
    expect(eventToKubeError('Kubernetes: watch jobs', object)).toMatchObject({ kind: 'gone', reason: 'Expired' });
  });

  it('makes a server error of an event that says nothing', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => void expect(eventToKubeError('x', value).kind).toBeDefined()));
    expect(eventToKubeError('x', undefined).kind).toBe('server-error');
  });
});

describe('networkToKubeError', () => {
  it('says in words why the API cannot be reached, also from an inner cause', () => {
    const inner = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    const error = networkToKubeError('Kubernetes: list pods', new TypeError('failed', { cause: inner }));
    expect(error).toMatchObject({ kind: 'unreachable', reason: 'ECONNREFUSED' });
    expect(error.message).toContain('is the API server running');
  });

  it('keeps an error that is known already', () => {
    const known = new KubeError('gone', 'x');
    expect(networkToKubeError('y', known)).toBe(known);
  });
});

describe('retryAfterMs', () => {
  it('reads seconds and dates, and ignores all else', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(retryAfterMs('5', now)).toBe(5_000);
    expect(retryAfterMs('Thu, 01 Jan 2026 00:00:09 GMT', now)).toBe(9_000);
    expect(retryAfterMs('Thu, 01 Jan 2020 00:00:00 GMT', now)).toBe(0);
    for (const bad of [undefined, '', 'soon', '-1x', '99999999999']) expect(retryAfterMs(bad, now)).toBeUndefined();
  });
});

import { describe, expect, it } from '@jest/globals';
import { explainApiError } from './api-error.js';
import type { ViewedApiError } from './api-error.js';
import type { Explanation } from './view.js';

const context = { name: 'ft-1', namespace: 'luthier-training', sinceMs: Date.parse('2026-11-24T10:02:00Z') };

describe('what an error of the cluster means for a run', () => {
  it.each<[string, ViewedApiError, Partial<Explanation>]>([
    [
      'API server down',
      { kind: 'unreachable', message: 'fetch failed: connect ECONNREFUSED 127.0.0.1:6443' },
      {
        reason: 'cluster-unreachable',
        message: "The cluster's API cannot be reached since 2026-11-24T10:02:00Z; running trainings are not affected.",
        fatal: false,
        afterMs: Infinity,
      },
    ],
    [
      '401',
      { kind: 'unauthorized', status: 401, message: 'Unauthorized' },
      { reason: 'cluster-forbidden', fatal: false, afterMs: Infinity },
    ],
    [
      '403 for a right',
      {
        kind: 'forbidden',
        status: 403,
        reason: 'Forbidden',
        message:
          'jobs.batch is forbidden: User "system:serviceaccount:luthier:trainer" cannot create resource "jobs" in API group "batch" in the namespace "luthier-training"',
      },
      {
        reason: 'cluster-forbidden',
        message: 'The trainer lacks a right in the cluster: create jobs.batch.',
        fatal: false,
        afterMs: Infinity,
      },
    ],
    [
      'namespace terminating',
      {
        kind: 'forbidden',
        status: 403,
        reason: 'NamespaceTerminating',
        message:
          'jobs.batch "ft-1" is forbidden: unable to create new content in namespace luthier-training because it is being terminated',
      },
      {
        reason: 'namespace-terminating',
        message: 'The namespace "luthier-training" for training is being deleted.',
        fatal: true,
        afterMs: 0,
      },
    ],
    [
      'PodSecurity at the dry run',
      {
        kind: 'forbidden',
        status: 403,
        reason: 'Forbidden',
        message: 'pods "ft-1" is forbidden: violates PodSecurity "restricted:latest": hostNetwork',
      },
      {
        reason: 'object-refused',
        message: 'The cluster refused the run: violates PodSecurity "restricted:latest": hostNetwork.',
        fatal: true,
      },
    ],
    [
      'a quota in use at the dry run',
      {
        kind: 'forbidden',
        status: 403,
        reason: 'Forbidden',
        message:
          'pods "ft-1" is forbidden: exceeded quota: q, requested: requests.nvidia.com/gpu=2, used: requests.nvidia.com/gpu=7, limited: requests.nvidia.com/gpu=8',
      },
      { reason: 'quota-exceeded', fatal: false, afterMs: Infinity },
    ],
    [
      '422',
      { kind: 'invalid', status: 422, message: 'Job.batch "ft-1" is invalid: spec.template: Required value' },
      { reason: 'object-refused', fatal: true, afterMs: 0 },
    ],
    [
      'a webhook that refuses, after what the client says of its call',
      {
        kind: 'invalid',
        status: 400,
        message:
          'Kubernetes: create jobs luthier-training/ft-1 (400): admission webhook "images.example" denied the request: not signed',
      },
      {
        params: { cause: 'admission webhook "images.example" denied the request: not signed' },
        ...{ reason: 'object-refused', fatal: true },
      },
    ],
    [
      'a webhook that does not answer',
      {
        kind: 'server-error',
        status: 500,
        message:
          'Kubernetes: create jobs luthier-training/ft-1 (500): Internal error occurred: failed calling webhook "images.example": failed to call webhook: EOF',
      },
      {
        reason: 'object-refused',
        message: 'The cluster refused the run: failed calling webhook "images.example": failed to call webhook: EOF.',
        ...{ fatal: false, afterMs: Infinity },
      },
    ],
    [
      '422, after what the client says of its call',
      { kind: 'invalid', status: 422, message: 'Kubernetes: create jobs x/ft-1 (422): Job.batch "ft-1" is invalid: y' },
      { params: { cause: 'Job.batch "ft-1" is invalid: y' } },
    ],
    [
      'name taken',
      { kind: 'already-exists', status: 409, message: 'jobs.batch "ft-1" already exists' },
      {
        reason: 'name-taken',
        message: 'The name "ft-1" is taken by another object of the cluster.',
        fatal: true,
        afterMs: 0,
      },
    ],
  ])('%s', (_row, error, expected) => {
    expect(explainApiError(error, context)).toMatchObject(expected);
  });

  it.each(['throttled', 'server-error', 'conflict', 'gone', 'not-found'])(
    'says nothing of "%s": it is tried again',
    (kind) => {
      expect(explainApiError({ kind, message: 'x' }, context)).toBeUndefined();
    },
  );
});

import { describe, expect, it } from '@jest/globals';
import { cpuProfile } from '../../testing/cluster-profiles.js';
import type { ClusterProfile } from '../cluster-profile.js';
import { labelsOf } from '../names.js';
import type { Carrier } from './carrier.js';
import { CARRIERS, attemptOf, carrierOf, chooseCarrier } from './carriers.js';
import { JOB } from './job.js';
import { JOB_SET } from './jobset.js';
import { TRAIN_JOB } from './train-job.js';

const of = (carrier: unknown): ClusterProfile => cpuProfile({ carrier });
const key = { runId: 'run-abcdefghijklmnopqrst', attempt: 2 };
const metadata = { name: 'ft-x-2', uid: 'u', labels: labelsOf(key), creationTimestamp: '2026-01-01T00:00:00Z' };

describe('the kind of object of a new attempt', () => {
  const trainJob = { type: 'train-job', runtime: 'torch' };
  it.each<[string, unknown, number, Carrier[], Carrier]>([
    ['a JobSet for several nodes where JobSet is installed', { type: 'auto' }, 2, [JOB, JOB_SET], JOB_SET],
    ['a Job for one node', { type: 'auto' }, 1, [JOB, JOB_SET], JOB],
    ['a Job for several nodes where it is not', { type: 'auto' }, 2, [JOB], JOB],
    ['a Job where the profile wants that', { type: 'job' }, 2, [JOB, JOB_SET], JOB],
    ['what the profile wants also where it is not there: that is said', { type: 'jobset' }, 1, [JOB], JOB_SET],
    ['a TrainJob only where the profile wants that', trainJob, 1, [...CARRIERS], TRAIN_JOB],
  ])('is %s', (_name, carrier, nodes, served, wanted) =>
    expect(chooseCarrier(of(carrier), nodes, served).resource.kind).toBe(wanted.resource.kind),
  );
});

describe('a root object', () => {
  it('is none that a controller has made of another one, whatever labels it has', () => {
    const owner = { apiVersion: 'v1', kind: 'TrainJob', name: 'ft-x-2', uid: 'o' };
    expect(attemptOf({ metadata })).toEqual(key);
    expect(attemptOf({ metadata: { ...metadata, ownerReferences: [owner] } })).toEqual(key);
    expect(attemptOf({ metadata: { ...metadata, ownerReferences: [{ ...owner, controller: true }] } })).toBeUndefined();
    expect(() => carrierOf({ kind: 'Pod' })).toThrow('Pod');
  });

  const transition = '2026-01-01T00:05:00Z';
  const said = (type: string, status: string): object => ({
    type,
    status,
    reason: 'r',
    lastTransitionTime: transition,
  });
  const jobSet = (suspend: boolean, ...conditions: object[]): object => ({
    ...{ kind: 'JobSet', metadata },
    spec: { suspend, replicatedJobs: [{ name: 'node', template: { spec: { completions: 3, template: {} } } }] },
    status: { conditions, restarts: 0 },
  });
  const trainJob = (suspend: boolean, ...conditions: object[]): object => ({
    ...{ kind: 'TrainJob', metadata },
    spec: { suspend, trainer: { numNodes: 3, image: 'x' }, runtimeRef: { name: 'torch' } },
    status: { conditions, jobsStatus: [] },
  });

  describe.each<[string, Carrier, typeof jobSet, string]>([
    ['JobSet', JOB_SET, jobSet, 'Completed'],
    ['TrainJob', TRAIN_JOB, trainJob, 'Complete'],
  ])('that is a %s, read as a Job', (kind, carrier, object, complete) => {
    it('says how many pods there will be, and keeps nothing of them', () => {
      const view = carrier.viewOf(object(true));
      expect(view).toEqual({ kind, metadata, spec: { suspend: true, completions: 3 }, status: { conditions: [] } });
    });

    it('begins when it is let go, and anew each time that a queue lets it go again', () => {
      const startOf = (root: object): unknown => carrier.viewOf(root).status?.startTime;
      expect(startOf(object(true, said('Suspended', 'True')))).toBeUndefined();
      expect(startOf(object(false, said('Suspended', 'True')))).toBeUndefined();
      expect(startOf(object(false, said('Suspended', 'False')))).toBe(transition);
      expect(startOf(object(false))).toBe(metadata.creationTimestamp);
    });

    it('ends as a Job does', () => {
      const endOf = (type: string): unknown => carrier.viewOf(object(false, said(type, 'True'))).status?.conditions;
      expect(endOf(complete)).toMatchObject([{ type: 'Complete', status: 'True', lastTransitionTime: transition }]);
      expect(endOf('Failed')).toMatchObject([{ type: 'Failed', status: 'True', reason: 'r' }]);
    });
  });
});

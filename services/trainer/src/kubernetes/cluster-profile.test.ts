import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { cpuProfile } from '../testing/cluster-profiles.js';
import { clusterProfile, clusterSettings } from './cluster-profile.js';

const page = readFileSync(new URL('../../../../docs/reference/cluster-profile.md', import.meta.url), 'utf8');

/** What the first columns of a section's table name. */
function fieldsOf(heading: string): string[] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const cells = [...section.matchAll(/^\| (`[^|]*)\|/gm)].map(([, cell]) => cell ?? '');
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name ?? ''));
}

describe('a cluster profile', () => {
  const trainJob = { carrier: { type: 'train-job', runtime: 'luthier' } };

  it('leaves to the training runtime what a TrainJob cannot say', () => {
    expect(cpuProfile(trainJob).carrier).toEqual({ ...trainJob.carrier, runtimeKind: 'ClusterTrainingRuntime' });
    for (const over of [{ schedulerName: 'volcano' }, { runtimeClassName: 'nvidia' }, { gang: { type: 'volcano' } }]) {
      expect(() => cpuProfile({ ...trainJob, ...over })).toThrow('the training runtime of a TrainJob');
    }
  });
});

describe('docs/reference/cluster-profile.md', () => {
  it('has every setting of a cluster and no other', () => {
    expect(fieldsOf('The cluster').sort()).toEqual(Object.keys(clusterSettings.shape).sort());
  });

  it('has every field of a profile and no other', () => {
    expect(fieldsOf('A profile').sort()).toEqual(Object.keys(clusterProfile.shape).sort());
  });
});

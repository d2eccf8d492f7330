import { describe, expect, it } from '@jest/globals';
import type { FitAnswer, JobResources, Plan } from '@luthier/contracts';
import { decideAdmission } from './admission.js';
import type { Profile } from './admission.js';
import { whyNowhere } from './ask-fit.js';
import { isNever, ofKindAsked, paramOf, shareOn, withFit, worldSizeOf } from './share.js';

const resources = (over: Partial<JobResources> = {}): JobResources => ({
  ...{ nodes: 1, devicesPerNode: null, deviceType: null },
  ...over,
});
const profile = (over: Partial<Profile> = {}): Profile => ({
  ...{ name: 'gpu', runtime: 'torch', device: 'H100', devices: 1, cpus: 8, slots: 100 },
  ...{ memoryMib: 80_000, freeMemoryMib: 80_000, hostMemoryMib: 64_000, freeDevices: 8 },
  capabilities: {
    ...{ runtime: 'torch', version: '1', modes: ['train'], architectures: [], methods: [], tunings: [] },
    ...{ precisions: [], engines: [] },
  },
  ...over,
});
const cpu = profile({ name: 'cpu', devices: 0 });
const gpu = profile();
const fit = (over: Partial<FitAnswer> = {}): FitAnswer => ({
  ...{ canEverFit: true, fitsNow: true, reason: 'fits', message: 'There is room.', params: {} },
  ...{ deviceProducts: [], nearest: null },
  ...over,
});
const never = (over: Partial<FitAnswer> = {}): FitAnswer => fit({ canEverFit: false, fitsNow: false, ...over });
const nearest = { nodes: 2, devicesPerNode: 8, deviceType: null, otherType: false, withoutQueue: false };
const plan = { verdict: 'fits', message: '', totalMib: 1_000, alternatives: [] } as unknown as Plan;

describe('the share of a place that a run gets', () => {
  it('is one device where there are devices, unless asked otherwise', () => {
    expect(shareOn({}, gpu)).toEqual({ nodes: 1, devicesPerNode: 1, deviceType: null, queue: null });
    expect(shareOn({}, cpu)).toMatchObject({ devicesPerNode: 0 });
    const asked = { resources: resources({ nodes: 2, devicesPerNode: 8 }), queue: 'team-a' };
    expect(shareOn(asked, gpu)).toMatchObject({ nodes: 2, devicesPerNode: 8, queue: 'team-a' });
    expect(worldSizeOf(shareOn(asked, gpu))).toBe(16);
    expect(shareOn({}, profile({ queue: 'all' }))).toMatchObject({ queue: 'all' });
  });

  it('is looked for where there is what was asked for', () => {
    const of = (asked: JobResources) => ofKindAsked([cpu, gpu], { resources: asked }).map(({ name }) => name);
    expect(ofKindAsked([cpu, gpu], {})).toHaveLength(2);
    expect(of(resources())).toEqual(['cpu', 'gpu']);
    expect(of(resources({ devicesPerNode: 0 }))).toEqual(['cpu']);
    expect(of(resources({ devicesPerNode: 4 }))).toEqual(['gpu']);
    expect(of(resources({ deviceType: 'H100' }))).toEqual(['gpu']);
    expect(of(resources({ nodes: 2 }))).toEqual(['gpu']);
    expect(of(resources({ nodes: 2, devicesPerNode: 0 }))).toEqual(['cpu']);
    expect(ofKindAsked([cpu], { resources: resources({ devicesPerNode: 1 }) })).toEqual([cpu]);
  });
});

describe('what can never be placed', () => {
  it('is what no profile can place; what was not asked for may still come', () => {
    const asked = { resources: resources({ devicesPerNode: 16 }) };
    expect(isNever(never({ reason: 'no-devices' }), asked)).toBe(true);
    expect(isNever(never({ reason: 'no-devices' }), {})).toBe(false);
    expect(isNever(never({ reason: 'quota-exceeded' }), {})).toBe(true);
    expect(isNever(fit({ fitsNow: false }), asked)).toBe(false);
    const fits = (...answers: FitAnswer[]) => new Map(answers.map((one, index) => [String(index), one]));
    expect(whyNowhere(asked, fits(never(), fit()))).toBeUndefined();
    expect(whyNowhere(asked, fits())).toBeUndefined();
    const telling = never({ reason: 'node-too-small', nearest });
    expect(whyNowhere(asked, fits(never({ reason: 'no-devices' }), telling))).toBe(telling);
  });

  it.each([
    ['no-queueing', 'queue'],
    ['unknown-queue', 'queue'],
    ['queue-too-small', 'queue'],
    ['unknown-device-type', 'resources.device_type'],
    ['too-few-nodes', 'resources.nodes'],
    ['node-too-small', 'resources.devices_per_node'],
    ['quota-exceeded', 'resources.devices_per_node'],
  ] as const)('by %s is the fault of %s', (reason, param) => {
    expect(paramOf(reason, { resources: resources() })).toBe(param);
  });

  it('makes a plan that cannot run, with what would fit in the fields of the job', () => {
    const planned = withFit(plan, never({ reason: 'node-too-small', message: 'Too small.', nearest }), {});
    expect(planned).toMatchObject({
      ...{ verdict: 'can-never-fit', message: 'Too small.' },
      obstacle: { reason: 'node-too-small', params: {}, nearest },
      alternatives: [{ title: '2 nodes x 8 GPUs', change: { 'resources.nodes': 2, 'resources.devices_per_node': 8 } }],
    });
    const params = { queue: 'team' };
    const busy = fit({ fitsNow: false, message: 'Busy.', reason: 'queue-inactive', params });
    expect(withFit(plan, busy, {})).toMatchObject({
      ...{ verdict: 'waits', message: 'Busy.', obstacle: { reason: 'queue-inactive', params, nearest: null } },
    });
    expect(withFit(plan, fit(), {})).toBe(plan);
  });
});

describe('decideAdmission on devices', () => {
  const run = (id: string, devicesPerNode: number) => ({
    ...{ id, profile: 'gpu' },
    resources: { nodes: 1, devicesPerNode, deviceMemoryMib: 1, cpu: 1, memoryMib: 64_000, scratchMib: 0 },
  });
  const question = (over: Partial<Parameters<typeof decideAdmission>[0]> = {}) =>
    decideAdmission({
      ...{ plan, profile: gpu, share: shareOn({}, gpu), fit: fit(), countedRuns: [], liveRuns: [], ahead: 0 },
      ...over,
    });

  it('counts devices, not the host memory of other runs', () => {
    expect(question({ liveRuns: [run('a', 4)] })).toEqual({ admit: true });
    const share = shareOn({ resources: resources({ devicesPerNode: 8 }) }, gpu);
    expect(question({ share, liveRuns: [run('a', 4)], countedRuns: ['a'] })).toEqual({ admit: true });
    expect(question({ share, liveRuns: [run('a', 4)] })).toEqual({
      admit: false,
      why: 'Waiting for GPUs: needs 8, 4 free now.',
    });
  });

  it('waits with the words of the place, and leaves a queue outside to itself', () => {
    const busy = fit({ fitsNow: false, message: 'Waiting for GPUs: needs 8 on one node, 3 free now.' });
    expect(question({ fit: busy })).toEqual({ admit: false, why: busy.message });
    const queued = { share: shareOn({ queue: 'team-a' }, gpu), fit: busy, ahead: 3 };
    expect(question(queued)).toEqual({ admit: true });
    expect(question({ fit: undefined })).toEqual({ admit: true });
  });
});

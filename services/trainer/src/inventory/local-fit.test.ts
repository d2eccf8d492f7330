import { describe, expect, it } from '@jest/globals';
import { fitHere } from './local-fit.js';

const shape = (over: Partial<Parameters<typeof fitHere>[0]> = {}) => ({
  ...{ profiles: ['p'], nodes: 1, devicesPerNode: null, deviceMemoryMib: 0, deviceType: null, queue: null },
  ...over,
});
const cpu = { name: 'cpu', devices: 0, device: 'cpu' };
const gpu = { name: 'gpu', devices: 2, device: 'NVIDIA A10' };

describe('fitHere', () => {
  it('has room for what asks for nothing more than the machine has', () => {
    expect(fitHere(shape(), cpu)).toMatchObject({ fitsNow: true, canEverFit: true });
    expect(fitHere(shape({ devicesPerNode: 0 }), cpu)).toMatchObject({ fitsNow: true });
    expect(fitHere(shape({ devicesPerNode: 2, deviceType: 'a10' }), gpu)).toMatchObject({ fitsNow: true });
  });

  it.each([
    ['devices where there are none', shape({ devicesPerNode: 1 }), cpu, 'cpu-only', 0],
    ['a type of device where there are none', shape({ deviceType: 'H100' }), cpu, 'cpu-only', 0],
    ['several nodes where there are no devices', shape({ nodes: 2 }), cpu, 'cpu-only', 0],
    ['another type of device', shape({ deviceType: 'H100' }), gpu, 'unknown-device-type', 1],
    ['more devices than there are', shape({ devicesPerNode: 16 }), gpu, 'node-too-small', 2],
    ['several nodes', shape({ nodes: 2, devicesPerNode: 1 }), gpu, 'too-few-nodes', 2],
    ['a queue', shape({ queue: 'team-a' }), cpu, 'no-queueing', 0],
  ])('refuses %s and names what there is', (_, asked, profile, reason, devicesPerNode) => {
    const found = fitHere(asked, profile);
    expect(found).toMatchObject({ canEverFit: false, fitsNow: false, reason });
    expect(found.nearest).toMatchObject({ nodes: 1, devicesPerNode });
    expect(fitHere({ ...asked, ...found.nearest, queue: null }, profile).fitsNow).toBe(true);
  });
});

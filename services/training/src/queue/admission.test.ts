import { describe, expect, it } from '@jest/globals';
import type { Inventory, RunSettings, Tuning } from '@luthier/contracts';
import { capableProfiles, whyUnsupported, wishOf } from './admission.js';

const LORA: Extract<Tuning, { type: 'lora' }> = {
  type: 'lora',
  ...{ r: 8, loraAlpha: 16, loraDropout: 0, targetModules: 'all-linear' as const, useRslora: false },
};
const settings = (change: Partial<RunSettings> = {}): RunSettings => ({
  ...{ method: 'supervised', tuning: LORA, hyperparameters: {}, ...change },
});

function inventory(...features: (readonly string[] | undefined)[]): Inventory {
  return {
    observedAt: '2026-01-01T00:00:00Z',
    countedRuns: [],
    profiles: features.map((listed, i) => ({
      ...{ name: `profile-${i}`, runtime: 'r', device: 'd', devices: 0, cpus: 1, slots: 1 },
      ...{ memoryMib: 1000, freeMemoryMib: 1000 },
      capabilities: {
        ...{ runtime: 'r', version: '1', modes: ['train' as const], architectures: ['LlamaForCausalLM'] },
        ...{ methods: ['supervised'], tunings: ['lora'], precisions: ['float32'], engines: [] },
        ...(listed && { features: [...listed] }),
      },
    })),
  };
}

describe('what the settings ask of a runtime', () => {
  const dora = wishOf(settings({ tuning: { ...LORA, useDora: true } }), 'LlamaForCausalLM');

  it('goes to the profile whose runtime has it', () => {
    const profiles = capableProfiles(inventory(undefined, ['neftune'], ['neftune', 'dora']), dora);
    expect(profiles.map(({ name }) => name)).toEqual(['profile-2']);
    expect(whyUnsupported(inventory(undefined, ['dora']), dora)).toBeUndefined();
  });

  it('is refused by its field where no runtime has it, with where to get it', () => {
    expect(whyUnsupported(inventory(undefined, ['neftune']), dora)).toMatchObject({
      param: 'tuning.useDora',
      message: expect.stringContaining('"dora"'),
      hint: expect.stringContaining('LUTHIER_LOCAL_RUNTIME=torch'),
    });
  });

  it('is refused with what there is where no device computes in the precision', () => {
    const asked = wishOf(settings(), 'LlamaForCausalLM', { precision: 'bfloat16' });
    expect(whyUnsupported(inventory(undefined), asked)).toMatchObject({
      ...{ param: 'precision', message: 'No device here computes in bfloat16; there is float32.' },
    });
    const both = inventory(undefined, []);
    const profiles = both.profiles.map((one, i) => (i === 0 ? one : { ...one, precisions: ['float32', 'bfloat16'] }));
    expect(capableProfiles({ ...both, profiles }, asked).map(({ name }) => name)).toEqual(['profile-1']);
  });

  it('is the processors of several nodes only where the runtime trains on them', () => {
    const resources = { nodes: 2, devicesPerNode: 0, deviceType: null };
    const asked = wishOf(settings(), 'LlamaForCausalLM', { resources });
    expect(whyUnsupported(inventory(undefined), asked)).toMatchObject({ param: 'resources.nodes' });
    const both = inventory(undefined, []);
    const able = { ...both.profiles[0]?.capabilities, cpuNodes: true } as Inventory['profiles'][number]['capabilities'];
    const profiles = both.profiles.map((one, i) => (i === 0 ? one : { ...one, capabilities: able }));
    expect(capableProfiles({ ...both, profiles }, asked).map(({ name }) => name)).toEqual(['profile-1']);
    const onGpus = { resources: { ...resources, devicesPerNode: 1 } };
    expect(whyUnsupported(both, wishOf(settings(), 'LlamaForCausalLM', onGpus))).toBeUndefined();
  });

  it('is nothing for the settings that every runtime has', () => {
    expect(whyUnsupported(inventory(undefined), wishOf(settings(), null))).toBeUndefined();
  });
});

import { clusterProfile } from '../kubernetes/cluster-profile.js';
import type { ClusterProfile } from '../kubernetes/cluster-profile.js';

/** A profile with one GPU a node, unless said otherwise. */
export const gpuProfile = (over: Record<string, unknown> = {}): ClusterProfile =>
  clusterProfile.parse({
    ...{ name: 'gpu', runtime: 'runtime-torch', image: `x.test/y@sha256:${'a'.repeat(64)}` },
    ...{ command: ['runner'], runtimeCommand: ['runtime'], deviceResource: 'nvidia.com/gpu' },
    capabilities: {
      ...{ runtime: 'runtime-torch', version: '1', modes: ['train'], architectures: ['LlamaForCausalLM'] },
      ...{ methods: ['supervised'], tunings: ['lora'], precisions: ['bf16'], engines: [] },
    },
    ...{ cpus: 8, memoryMib: 65_536, scratchMib: 1_000 },
    ...over,
  });

/** The same on the CPU. */
export const cpuProfile = (over: Record<string, unknown> = {}): ClusterProfile =>
  gpuProfile({ name: 'cpu', cpus: 4, memoryMib: 8_192, deviceResource: undefined, ...over });

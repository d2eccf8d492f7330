import type { Schemas } from '@luthier/api-client';

type Said = Pick<Schemas['JobEvent'], 'level' | 'message' | 'data'>;

const said = (level: Said['level'], message: string, data: Record<string, unknown>): Said => ({
  ...{ level, message },
  data: {
    ...{
      source: 'kubernetes',
      attempt: 1,
      count: 1,
      object: { kind: 'Pod', name: 'ft-cluster0000000000000-1-0-x7k2p' },
    },
    ...{ first_at: '2026-11-24T10:00:00.000Z', last_at: '2026-11-24T10:10:00.000Z' },
    ...data,
  },
});

/** What a cluster says on the way: a place, trouble that passes, and something that nobody here has a sentence for. */
export const CLUSTER_SAID: readonly Said[] = [
  said('info', 'A pod of the run has got node "gpu-1".', { what: 'Pod.Scheduled', reason: 'Scheduled', node: 'gpu-1' }),
  said('warn', 'A volume cannot be mounted on node "gpu-1".', {
    ...{ what: 'Pod.FailedMount', reason: 'FailedMount', node: 'gpu-1', count: 12 },
    excerpt: 'MountVolume.SetUp failed for volume "artifacts": rpc error: code = DeadlineExceeded',
  }),
  said('warn', 'NetworkNotReady: network is not ready', {
    ...{ reason: 'NetworkNotReady', excerpt: 'network is not ready: container runtime network not ready' },
  }),
];

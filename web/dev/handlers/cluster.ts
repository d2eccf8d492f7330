import { cluster, findings, noCluster } from '../fixtures/cluster.js';
import { inventory } from '../fixtures/inventory.js';
import type { Handler } from './call.js';

export const CLUSTER_HANDLERS: Record<string, Handler> = {
  'GET /api/v1/inventory': () => inventory,
  'GET /api/v1/cluster': ({ state }) => (state.empty ? noCluster : cluster),
  'GET /api/v1/cluster/doctor': () => findings,
};

import type { FitAnswer } from '@luthier/contracts';
import type { ClusterSnapshot } from './cluster-snapshot.js';
import type { FitRequest } from './fit-request.js';

type Nearest = FitAnswer['nearest'];

const MAX_NODES = 1_024;

/**
 * What would fit in place of a run that cannot: as many devices in another shape, else fewer of them, else of another
 * type. Null when nothing of the kind helps.
 */
export function nearestFit(
  request: FitRequest,
  snapshot: ClusterSnapshot,
  canEverFit: (request: FitRequest) => boolean,
): Nearest {
  const { nodes, devicesPerNode } = request.resources;
  if (devicesPerNode === 0) return null;
  const wanted = nodes * devicesPerNode;
  const largest = Math.max(
    request.autoscaled === true ? devicesPerNode : 0,
    ...snapshot.groups
      .filter(({ resource }) => resource === request.deviceResource)
      .map(({ largestNode }) => largestNode),
  );
  const { deviceType: _, ...ofAnyType } = request;
  const { queue: __, ...withoutQueue } = request;
  const changes: FitRequest[] = [request, ofAnyType, ...(snapshot.queues === null ? [withoutQueue] : [])];
  for (const changed of changes) {
    const found = shapeOf(changed, { wanted, largest }, canEverFit);
    if (!found) continue;
    return {
      ...found,
      deviceType: changed.deviceType ?? null,
      otherType: changed.deviceType !== request.deviceType,
      withoutQueue: changed.queue !== request.queue,
    };
  }
  return null;
}

function shapeOf(
  request: FitRequest,
  { wanted, largest }: { wanted: number; largest: number },
  canEverFit: (request: FitRequest) => boolean,
): { nodes: number; devicesPerNode: number } | undefined {
  let best: { nodes: number; devicesPerNode: number } | undefined;
  for (let devicesPerNode = Math.min(largest, wanted); devicesPerNode > 0; devicesPerNode -= 1) {
    const fits = (nodes: number): boolean =>
      canEverFit({ ...request, resources: { ...request.resources, nodes, devicesPerNode } });
    const nodes = mostNodes(Math.min(MAX_NODES, Math.floor(wanted / devicesPerNode)), fits);
    if (nodes * devicesPerNode === wanted) return { nodes, devicesPerNode };
    if (nodes * devicesPerNode > (best ? best.nodes * best.devicesPerNode : 0)) best = { nodes, devicesPerNode };
  }
  return best;
}

/** The largest number up to `limit` that fits; what fits with more nodes fits with fewer. */
function mostNodes(limit: number, fits: (nodes: number) => boolean): number {
  let [low, high] = [0, limit];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

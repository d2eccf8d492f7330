import type { z } from 'zod';
import type { inventory } from '@luthier/contracts';
import { InventorySource } from '../../inventory/inventory-source.js';
import type { ClusterProfile } from '../cluster-profile.js';
import type { ClusterSnapshot } from './cluster-snapshot.js';
import type { FitRequest } from './fit-request.js';
import { fit } from './fit.js';
import { takeSnapshot } from './snapshot.js';
import type { SnapshotInput } from './snapshot.js';

type ProfileOffer = z.input<typeof inventory>['profiles'][number];

/** What a cluster offers through its profiles, from what the watches show at this moment. */
export class ClusterInventory extends InventorySource {
  constructor(
    private readonly profiles: readonly ClusterProfile[],
    private readonly input: () => SnapshotInput,
  ) {
    super();
  }

  snapshot(): ClusterSnapshot {
    return takeSnapshot(this.input());
  }

  override async read(): Promise<z.input<typeof inventory>> {
    const snapshot = this.snapshot();
    return Promise.resolve({
      observedAt: new Date().toISOString(),
      profiles: this.profiles.map((profile) => offerOf(profile, snapshot)),
      countedRuns: [...snapshot.countedRuns],
    });
  }
}

/**
 * A profile as the planner reads it: with devices, the memory is that of the largest device a run of one may get; on
 * the CPU it is what a pod may ask for. Free memory is none while no place is free. Pure.
 */
export function offerOf(profile: ClusterProfile, snapshot: ClusterSnapshot): ProfileOffer {
  const onDevice = profile.deviceResource !== undefined;
  const request = smallestRequest(profile);
  const { canEverFit, fitsNow } = fit(request, snapshot);
  const group = snapshot.groups.find(
    ({ resource, product }) =>
      resource === profile.deviceResource &&
      (profile.deviceProducts.length === 0 || profile.deviceProducts.includes(product)),
  );
  const offered = onDevice ? (group?.deviceMemoryMib ?? 0) : profile.memoryMib;
  // Nothing of the kind is there now: a run waits for it, it is not called impossible for its size.
  const memoryMib = canEverFit || offered > 0 ? offered : profile.memoryMib;
  return {
    ...{ name: profile.name, runtime: profile.runtime, capabilities: profile.capabilities, slots: profile.slots },
    device: onDevice ? (group?.product ?? profile.deviceResource ?? '') : 'CPU',
    devices: onDevice ? 1 : 0,
    cpus: profile.cpus,
    memoryMib,
    freeMemoryMib: fitsNow ? memoryMib : 0,
    ...(onDevice && { hostMemoryMib: profile.memoryMib }),
    scratchMib: profile.scratchMib,
  };
}

function smallestRequest(profile: ClusterProfile): FitRequest {
  const onDevice = profile.deviceResource !== undefined;
  return {
    resources: {
      ...{ nodes: 1, devicesPerNode: onDevice ? 1 : 0, deviceMemoryMib: 0 },
      ...{ cpu: profile.cpus, memoryMib: profile.memoryMib },
    },
    deviceResource: profile.deviceResource ?? '',
    products: profile.deviceProducts,
    ...(profile.computeMajorAtLeast !== undefined && { computeMajor: profile.computeMajorAtLeast }),
    allowShared: profile.sharedDevices,
    tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists' }, ...profile.tolerations],
    nodeSelector: profile.nodeSelector,
    autoscaled: profile.autoscaled,
  };
}

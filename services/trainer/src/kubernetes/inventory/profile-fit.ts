import type { z } from 'zod';
import type { FitAnswer, inventory } from '@luthier/contracts';
import { fitsWithoutDevices } from '../../inventory/fit-answer.js';
import type { RunShape } from '../../inventory/inventory-source.js';
import type { ClusterProfile } from '../cluster-profile.js';
import type { ClusterSnapshot } from './cluster-snapshot.js';
import type { FitRequest } from './fit-request.js';
import { fit } from './fit.js';

type ProfileOffer = z.input<typeof inventory>['profiles'][number];
type Shape = Omit<RunShape, 'profiles' | 'withoutNodes'>;

/** A run of one device where there are devices, else on the CPU. */
export const SMALLEST: Shape = { nodes: 1, devicesPerNode: null, deviceMemoryMib: 0, deviceType: null, queue: null };

/** What a run of this shape asks of the cluster when it is rendered with the profile. */
export function requestFor(shape: Shape, profile: ClusterProfile): FitRequest {
  const { deviceResource, deviceLabels, computeMajorAtLeast, cpus, memoryMib } = profile;
  const devicesPerNode = shape.devicesPerNode ?? (deviceResource === undefined ? 0 : 1);
  const queue = shape.queue ?? profile.queue;
  // Only labels that the pods are placed by may rule a node out.
  const byLabels = deviceLabels !== 'none';
  return {
    resources: {
      ...{ nodes: shape.nodes, devicesPerNode, cpu: cpus, memoryMib },
      deviceMemoryMib: byLabels ? shape.deviceMemoryMib : 0,
    },
    deviceResource: deviceResource ?? '',
    products: byLabels ? profile.deviceProducts : [],
    ...(shape.deviceType !== null && { deviceType: shape.deviceType }),
    ...(deviceLabels === 'nvidia' && computeMajorAtLeast !== undefined && { computeMajor: computeMajorAtLeast }),
    allowShared: profile.sharedDevices,
    tolerations: [
      // As the pods are rendered.
      { key: `${deviceResource?.split('/')[0] ?? ''}/gpu`, operator: 'Exists', effect: 'NoSchedule' },
      ...profile.tolerations.map(({ key, operator, value, effect }) => ({
        ...(key !== undefined && { key }),
        ...(operator !== undefined && { operator }),
        ...(value !== undefined && { value }),
        ...(effect !== undefined && { effect }),
      })),
    ],
    nodeSelector: profile.nodeSelector,
    ...(queue !== undefined && { queue }),
    autoscaled: profile.autoscaled,
  };
}

/** Whether a run can be placed with a profile. */
export function fitOnProfile(shape: Shape, profile: ClusterProfile, snapshot: ClusterSnapshot): FitAnswer {
  const { nodes, devicesPerNode, deviceType } = shape;
  // Several nodes are GPUs unless it is said that they are processors.
  const wantsDevices = (devicesPerNode ?? (nodes > 1 ? 1 : 0)) > 0 || deviceType !== null;
  if (!wantsDevices || profile.deviceResource !== undefined) return fit(requestFor(shape, profile), snapshot);
  return fitsWithoutDevices(profile.name);
}

/** From this compute capability on, GPUs have instructions for bfloat16. */
const BFLOAT16_MAJOR = 8;

/** What every node with such devices, and the runtime, computes in; nothing where one does not tell. */
function precisionsOf(
  { deviceResource, capabilities }: ClusterProfile,
  { nodes }: ClusterSnapshot,
): { precisions?: string[] } {
  const majors = nodes
    .filter(({ devices }) => devices.some(({ resource }) => resource === deviceResource))
    .map(({ computeMajor }) => computeMajor);
  if (majors.length === 0 || majors.includes(null)) return {};
  const bfloat16 = majors.every((major) => (major ?? 0) >= BFLOAT16_MAJOR);
  const precisions = bfloat16 ? ['float32', 'bfloat16', 'float16'] : ['float32', 'float16'];
  return { precisions: precisions.filter((name) => capabilities.precisions.includes(name)) };
}

/**
 * A profile as the planner reads it: with devices, the memory is that of the largest device a run of one may get; on
 * the CPU it is what a pod may ask for. Free memory is none while no place is free. Pure.
 */
export function offerOf(profile: ClusterProfile, snapshot: ClusterSnapshot): ProfileOffer {
  const onDevice = profile.deviceResource !== undefined;
  const { canEverFit, fitsNow, message, reason, params, nearest } = fit(requestFor(SMALLEST, profile), snapshot);
  const groups = snapshot.groups.filter(
    ({ resource, product }) =>
      resource === profile.deviceResource &&
      (profile.deviceProducts.length === 0 || profile.deviceProducts.includes(product)),
  );
  const [group] = groups;
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
    ...(onDevice && {
      hostMemoryMib: profile.memoryMib,
      freeDevices: groups.reduce((sum, { free }) => sum + free, 0),
      ...precisionsOf(profile, snapshot),
      maxDevicesPerNode: Math.max(0, ...groups.map(({ largestNode }) => largestNode)),
      nodes: groups.reduce((sum, { nodes }) => sum + nodes, 0),
    }),
    scratchMib: profile.scratchMib,
    ...(profile.queue !== undefined && { queue: profile.queue }),
    ...(profile.autoscaled && { autoscaled: true }),
    ...(!fitsNow && { why: message, obstacle: { reason, params, nearest } }),
  };
}

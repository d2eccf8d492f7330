import type { ResourceClaimObject, ResourceSliceObject } from './kube-objects.js';
import { amount } from './quantity.js';

/** Devices of one kind on one node, as its driver lists them. */
export interface SliceDevices {
  /** What a pod asks for when the device class is mapped to an extended resource. */
  readonly resource: string;
  readonly product: string | null;
  readonly memoryMib: number | null;
  readonly computeMajor: number | null;
  readonly total: number;
  /** Devices given to claims; null where claims are not known and pods' requests have to be counted. */
  readonly taken: number | null;
}

/** Extended resources that stand for the devices of a driver. */
const RESOURCE_OF_DRIVER: Readonly<Record<string, string>> = {
  'gpu.nvidia.com': 'nvidia.com/gpu',
  'gpu.amd.com': 'amd.com/gpu',
};

type Slice = NonNullable<ResourceSliceObject['spec']>;
type Device = NonNullable<Slice['devices']>[number];

const attribute = (device: Device, driver: string, name: string): string | undefined => {
  const found = device.attributes?.[name] ?? device.attributes?.[`${driver}/${name}`];
  return found?.string ?? found?.version;
};
const memoryOf = (device: Device, driver: string): number =>
  Math.floor(
    amount('memory', device.capacity?.['memory']?.value ?? device.capacity?.[`${driver}/memory`]?.value ?? '0'),
  );

/** Parts of a device are listed beside the device itself; only whole ones are counted. */
const isWhole = (device: Device, driver: string): boolean => (attribute(device, driver, 'type') ?? 'gpu') === 'gpu';

/**
 * Devices by node. A pool may be in the middle of a change: only its newest generation counts. `claims` undefined: nobody
 * knows which devices are given away.
 */
export function readSlices(
  slices: readonly ResourceSliceObject[],
  claims: readonly ResourceClaimObject[] | undefined,
): ReadonlyMap<string, readonly SliceDevices[]> {
  const known = slices.flatMap(({ spec }) => (spec && RESOURCE_OF_DRIVER[spec.driver] !== undefined ? [spec] : []));
  const newest = new Map<string, number>();
  for (const { driver, pool } of known) {
    const key = `${driver}/${pool.name}`;
    newest.set(key, Math.max(newest.get(key) ?? 0, pool.generation));
  }
  const given = new Set(
    (claims ?? []).flatMap((claim) =>
      (claim.status?.allocation?.devices?.results ?? []).map((d) => `${d.driver}/${d.pool}/${d.device}`),
    ),
  );
  const byNode = new Map<string, Map<string, { driver: string; pool: string; device: Device }[]>>();
  for (const { driver, nodeName, pool, devices = [] } of known) {
    if (nodeName === undefined || pool.generation !== newest.get(`${driver}/${pool.name}`)) continue;
    const ofNode = byNode.get(nodeName) ?? new Map<string, { driver: string; pool: string; device: Device }[]>();
    byNode.set(nodeName, ofNode);
    const usable = devices.filter((device) => isWhole(device, driver));
    ofNode.set(driver, [
      ...(ofNode.get(driver) ?? []),
      ...usable.map((device) => ({ driver, pool: pool.name, device })),
    ]);
  }
  return new Map(
    [...byNode].map(([node, drivers]) => [
      node,
      [...drivers]
        .filter(([, devices]) => devices.length > 0)
        .map(([driver, devices]) => {
          const [first] = devices;
          const sizes = devices.map(({ device }) => memoryOf(device, driver)).filter((mib) => mib > 0);
          const version = first && attribute(first.device, driver, 'cudaComputeCapability');
          const major = Number(version?.split('.')[0]);
          return {
            resource: RESOURCE_OF_DRIVER[driver] ?? driver,
            product: (first && attribute(first.device, driver, 'productName')) ?? null,
            memoryMib: sizes.length > 0 ? Math.min(...sizes) : null,
            computeMajor: Number.isInteger(major) ? major : null,
            total: devices.length,
            taken: claims
              ? devices.filter(({ pool, device }) => given.has(`${driver}/${pool}/${device.name}`)).length
              : null,
          };
        }),
    ]),
  );
}

import type { FitAnswer } from '@luthier/contracts';
import { fitAnswer, fitsWithoutDevices, hindrance } from './fit-answer.js';
import type { Hindrance } from './fit-answer.js';
import type { RunShape } from './inventory-source.js';

interface LocalProfile {
  readonly name: string;
  readonly devices: number;
  readonly device: string;
}

/** A run as a process of this machine: one node, its devices, no queue of a cluster. Memory is the planner's matter. Pure. */
export function fitHere({ nodes, devicesPerNode, deviceType, queue }: RunShape, profile: LocalProfile): FitAnswer {
  const wanted = devicesPerNode ?? Math.min(1, profile.devices);
  const never = (why: Hindrance, over: Partial<FitAnswer['nearest'] & {}>): FitAnswer =>
    fitAnswer(why, {
      ...{ canEverFit: false, fitsNow: false },
      nearest: {
        ...{ nodes: 1, devicesPerNode: Math.min(wanted, profile.devices), deviceType },
        ...{ otherType: false, withoutQueue: false, ...over },
      },
    });
  if (queue !== null) return never(hindrance('no-queueing', { queue }), { withoutQueue: true });
  if ((wanted > 0 || deviceType !== null || nodes > 1) && profile.devices === 0) {
    return fitsWithoutDevices(profile.name);
  }
  if (deviceType !== null && !profile.device.toLowerCase().includes(deviceType.toLowerCase())) {
    const available = `${profile.device} x${profile.devices}`;
    return never(hindrance('unknown-device-type', { deviceType, available }), { deviceType: null, otherType: true });
  }
  const asMany = { devicesPerNode: Math.min(nodes * wanted, profile.devices) };
  if (wanted > profile.devices) {
    return never(hindrance('node-too-small', { devicesPerNode: wanted, largest: profile.devices }), asMany);
  }
  if (nodes > 1) {
    return never(hindrance('too-few-nodes', { nodes, devicesPerNode: wanted, fitting: 1 }), asMany);
  }
  return fitAnswer(hindrance('fits', {}), { canEverFit: true, fitsNow: true });
}

import type { FitAnswer, FitReason } from '@luthier/contracts';
import type { RunShape } from './inventory-source.js';

interface LocalProfile {
  readonly devices: number;
  readonly device: string;
}

const answer = (
  reason: FitReason,
  message: string,
  { params = {}, nearest = null }: Partial<Pick<FitAnswer, 'params' | 'nearest'>> = {},
): FitAnswer => ({
  canEverFit: reason === 'fits',
  fitsNow: reason === 'fits',
  ...{ reason, message, params, nearest },
  deviceProducts: [],
});

const gpus = (count: number): string => `${count} GPU${count === 1 ? '' : 's'}`;

/** A run as a process of this machine: one node, its devices, no queue of a cluster. Memory is the planner's matter. Pure. */
export function fitHere({ nodes, devicesPerNode, deviceType, queue }: RunShape, profile: LocalProfile): FitAnswer {
  const wanted = devicesPerNode ?? Math.min(1, profile.devices);
  const here = 'Runs here are local processes on this machine';
  if (queue !== null) {
    return answer(
      'unknown-queue',
      `Queue '${queue}' does not exist: ${here.toLowerCase()}, without queues to choose.`,
      {
        params: { queue },
        nearest: { nodes: 1, devicesPerNode: Math.min(wanted, profile.devices), deviceType: null },
      },
    );
  }
  if ((wanted > 0 || deviceType !== null) && profile.devices === 0) {
    return answer('no-devices', `${here}, which offers them no GPUs. Leave \`resources\` out to train on the CPU.`, {
      nearest: { nodes: 1, devicesPerNode: 0, deviceType: null },
    });
  }
  if (deviceType !== null && !profile.device.toLowerCase().includes(deviceType.toLowerCase())) {
    return answer('unknown-device-type', `${here}; its GPUs are ${profile.device}, not ${deviceType}.`, {
      params: { deviceType },
      nearest: { nodes: 1, devicesPerNode: Math.min(wanted, profile.devices), deviceType: null },
    });
  }
  const nearest = { nodes: 1, devicesPerNode: Math.min(nodes * wanted, profile.devices), deviceType };
  if (wanted > profile.devices) {
    return answer(
      'node-too-small',
      `${here}, which has ${gpus(profile.devices)}. Use ${gpus(nearest.devicesPerNode)}.`,
      {
        params: { nodes, devicesPerNode: wanted, largest: profile.devices },
        nearest,
      },
    );
  }
  if (nodes > 1) {
    return answer('too-few-nodes', `${here}: there is one node, not ${nodes}.`, { params: { nodes }, nearest });
  }
  return answer('fits', 'There is room for it.');
}

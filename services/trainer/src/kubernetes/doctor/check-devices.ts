import type { ClusterCheck, ClusterReport } from '@luthier/contracts';
import { fail, ok, placeFinding, warn } from '../../inventory/findings.js';
import { listed } from '../../inventory/listed.js';
import type { ClusterProfile } from '../cluster-profile.js';
import type { ClusterSnapshot } from '../inventory/cluster-snapshot.js';
import { fit } from '../inventory/fit.js';
import { SMALLEST, requestFor } from '../inventory/profile-fit.js';

/** Devices of a profile, what nodes tell about them, and whether the smallest run can ever be placed. Pure. */
export function checkProfile(profile: ClusterProfile, snapshot: ClusterSnapshot): ClusterCheck[] {
  const { deviceResource } = profile;
  return [
    ...(deviceResource === undefined ? [] : checkDevices(profile, deviceResource, snapshot)),
    checkPlace(profile, snapshot),
  ];
}

function checkDevices(profile: ClusterProfile, resource: string, snapshot: ClusterSnapshot): ClusterCheck[] {
  const about = { topic: 'devices', profile: profile.name } as const;
  const nodes = snapshot.nodes.filter(({ devices }) => devices.some((device) => device.resource === resource));
  const count = snapshot.groups.filter((group) => group.resource === resource).reduce((sum, g) => sum + g.total, 0);
  if (count === 0) {
    return [
      profile.autoscaled ? warn(about, 'devices-to-come', { resource }) : fail(about, 'devices-missing', { resource }),
    ];
  }
  const silent = nodes.filter(({ devices }) =>
    devices.some((d) => d.resource === resource && (d.product === null || d.memoryMib === null)),
  );
  return [
    profile.deviceLabels === 'none' || silent.length === 0
      ? ok(about, 'devices-there', { count, resource, nodes: nodes.length })
      : warn(about, 'devices-unlabelled', { count, resource, nodes: listed(silent.map(({ name }) => name)) }),
  ];
}

/** Quotas, limits, taints, queue: whatever keeps even the smallest run away. */
const checkPlace = (profile: ClusterProfile, snapshot: ClusterSnapshot): ClusterCheck =>
  placeFinding({ topic: 'place', profile: profile.name }, fit(requestFor(SMALLEST, profile), snapshot));

export function checkQuota({ namespace, quotas }: ClusterSnapshot): ClusterCheck {
  if (quotas.length === 0) return ok('quota', 'quota-none', { namespace });
  const spent = quotas.filter(({ hard, used }) => used >= hard);
  if (spent.length === 0) return ok('quota', 'quota-left', { count: quotas.length });
  const limits = spent.map(({ name, resource, hard, used }) => `${name}: ${resource} ${used}/${hard}`);
  return warn('quota', 'quota-spent', { limits: listed(limits) });
}

export function checkQueues(profiles: readonly ClusterProfile[], { queues, namespace }: ClusterSnapshot): ClusterCheck {
  const used = [...new Set(profiles.flatMap(({ queue }) => (queue === undefined ? [] : [queue])))];
  if (queues === null) {
    return used.length === 0
      ? ok('queues', 'queues-unused', {})
      : fail('queues', 'queueing-missing', { queues: listed(used) });
  }
  const unknown = used.filter((name) => !queues.some((queue) => queue.name === name));
  if (unknown.length > 0) return fail('queues', 'queues-unknown', { queues: listed(unknown), namespace });
  const stopped = queues.filter(({ active }) => !active).map(({ name }) => name);
  if (stopped.length > 0) return warn('queues', 'queues-stopped', { queues: listed(stopped) });
  return ok('queues', 'queues-known', { count: queues.length, queues: listed(queues.map(({ name }) => name)) });
}

export function checkWatches(watches: ClusterReport['watches']): ClusterCheck {
  const away = watches.filter(({ connected }) => !connected).map(({ name }) => name);
  return away.length === 0
    ? ok('watches', 'watches-connected', { count: watches.length })
    : warn('watches', 'watches-lost', { watches: listed(away) });
}

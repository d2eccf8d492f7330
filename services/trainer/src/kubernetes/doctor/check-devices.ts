import type { ClusterCheck, ClusterReport } from '@luthier/contracts';
import type { ClusterProfile } from '../cluster-profile.js';
import type { ClusterSnapshot } from '../inventory/cluster-snapshot.js';
import { fit } from '../inventory/fit.js';
import { SMALLEST, requestFor } from '../inventory/profile-fit.js';
import { fail, ok, warn } from './findings.js';

/** Devices of a profile, what nodes tell about them, and whether the smallest run can ever be placed. Pure. */
export function checkProfile(profile: ClusterProfile, snapshot: ClusterSnapshot): ClusterCheck[] {
  const { deviceResource } = profile;
  return [
    ...(deviceResource === undefined ? [] : checkDevices(profile, deviceResource, snapshot)),
    checkPlace(profile, snapshot),
  ];
}

function checkDevices(profile: ClusterProfile, resource: string, snapshot: ClusterSnapshot): ClusterCheck[] {
  const check = `devices of ${profile.name}`;
  const nodes = snapshot.nodes.filter(({ devices }) => devices.some((device) => device.resource === resource));
  const total = snapshot.groups.filter((group) => group.resource === resource).reduce((sum, g) => sum + g.total, 0);
  if (total === 0) {
    const message = `No node offers ${resource}.`;
    return [
      profile.autoscaled
        ? warn(check, message, 'Nothing to do when nodes are added on demand; the first run then takes longer.')
        : fail(
            check,
            message,
            'Install the device plugin (or GPU operator) of the vendor, or correct `deviceResource`.',
          ),
    ];
  }
  const silent = nodes.filter(({ devices }) =>
    devices.some((d) => d.resource === resource && (d.product === null || d.memoryMib === null)),
  );
  if (profile.deviceLabels === 'none' || silent.length === 0) {
    return [ok(check, `${total} x ${resource} on ${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}.`)];
  }
  return [
    warn(
      check,
      `${total} x ${resource}, but these nodes do not tell product and memory of theirs: ${silent
        .slice(0, 5)
        .map(({ name }) => name)
        .join(', ')}.`,
      'Install GPU feature discovery (NVIDIA) or the node labeller (AMD): runs are placed by these labels.',
    ),
  ];
}

/** Quotas, limits, taints, queue: whatever keeps even the smallest run away. */
function checkPlace(profile: ClusterProfile, snapshot: ClusterSnapshot): ClusterCheck {
  const check = `a place for ${profile.name}`;
  const { canEverFit, fitsNow, message, reason } = fit(requestFor(SMALLEST, profile), snapshot);
  if (fitsNow) return ok(check, 'The smallest run could start now.');
  if (canEverFit) return warn(check, message, 'Nothing to do when the cluster is busy: runs wait.');
  return fail(check, message, FIXES[reason] ?? 'Change the profile or the cluster so that one run fits.');
}

const FIXES: Partial<Record<ReturnType<typeof fit>['reason'], string>> = {
  'quota-exceeded': 'Raise the quota of the namespace, or lower `cpus` and `memoryMib` of the profile.',
  'limit-exceeded': 'Raise the limit range of the namespace, or lower `cpus` and `memoryMib` of the profile.',
  'unknown-queue': 'Create the LocalQueue in the namespace of the runs, or correct `queue` of the profile.',
  'queue-too-small': 'Give the ClusterQueue quota for this device, or use another queue.',
  'nodes-not-allowed': 'Add the taint to `tolerations` of the profile, or correct its `nodeSelector`.',
  'not-enough-cpu': 'Lower `cpus` of the profile: no node has as many.',
  'not-enough-memory': 'Lower `memoryMib` of the profile: no node has as much.',
  'devices-shared': 'Set `sharedDevices` of the profile, or stop sharing the devices.',
};

export function checkQuota({ namespace, quotas }: ClusterSnapshot): ClusterCheck {
  const check = 'quota';
  if (quotas.length === 0) return ok(check, `Namespace ${namespace} has no quota.`);
  const spent = quotas.filter(({ hard, used }) => used >= hard);
  if (spent.length === 0) return ok(check, `${quotas.length} limits, none used up.`);
  const list = spent.map(({ name, resource, hard, used }) => `${resource} of "${name}" (${used} of ${hard})`);
  return warn(check, `Used up: ${list.join(', ')}.`, 'Runs wait until others end; raise the quota for more at once.');
}

export function checkQueues(profiles: readonly ClusterProfile[], { queues }: ClusterSnapshot): ClusterCheck {
  const check = 'queues';
  const used = [...new Set(profiles.flatMap(({ queue }) => (queue === undefined ? [] : [queue])))];
  if (queues === null) {
    return used.length === 0
      ? ok(check, 'No queueing system is installed and none is asked for.')
      : fail(
          check,
          `Profiles name the queues ${used.join(', ')}, but Kueue is not there.`,
          'Install Kueue, or take `queue` out of the profiles.',
        );
  }
  const unknown = used.filter((name) => !queues.some((queue) => queue.name === name));
  if (unknown.length > 0) {
    return fail(check, `There is no LocalQueue ${unknown.join(', ')}.`, 'Create it in the namespace of the runs.');
  }
  const stopped = queues.filter(({ active }) => !active).map(({ name }) => name);
  if (stopped.length > 0) {
    return warn(check, `Stopped: ${stopped.join(', ')}.`, 'See the conditions of the LocalQueue and its ClusterQueue.');
  }
  return ok(check, `${queues.length} known: ${queues.map(({ name }) => name).join(', ') || 'none'}.`);
}

export function checkWatches(watches: ClusterReport['watches']): ClusterCheck {
  const away = watches.filter(({ connected }) => !connected).map(({ name }) => name);
  if (away.length === 0) return ok('watches', `${watches.length} connected.`);
  return warn(
    'watches',
    `Not connected: ${away.join(', ')}. What is shown may be old; running jobs are not affected.`,
    'They connect again by themselves; if not, see "api" and "permissions".',
  );
}

import type { operations } from '@luthier/api-client';
import { plain, table } from './table.js';

export type Cluster = operations['getCluster']['responses'][200]['content']['application/json'];
export type Findings = operations['examineCluster']['responses'][200]['content']['application/json'];

const MIB_PER_GIB = 1024;
const gib = (mib: number): string => `${Math.round(mib / MIB_PER_GIB)} GiB`;

/** What there is, as tables; those without a row are left out. */
export function clusterText(cluster: Cluster): string {
  const groups = cluster.groups.map((group) => [
    ...[group.product, group.resource, group.device_memory_mib === null ? '?' : gib(group.device_memory_mib)],
    ...[group.nodes, group.total, group.free, group.largest_node],
  ]);
  const nodes = cluster.nodes.map((node) => [
    ...[
      node.name,
      stateOf(node),
      node.devices.map(({ resource, free, total }) => `${free}/${total} ${resource}`).join(', '),
    ],
    ...[`${Math.floor(node.cpu.free)}/${Math.floor(node.cpu.total)}`],
    ...[`${gib(node.memory_mib.free)}/${gib(node.memory_mib.total)}`],
    node.taints.map(({ key, effect }) => `${key}:${effect}`).join(', '),
  ]);
  const quotas = cluster.quotas.map(({ name, resource, used, hard }) => [name, resource, used, hard]);
  const queues = (cluster.queues ?? []).map((queue) => [
    ...[queue.name, queue.active ? 'open' : 'stopped', queue.pending, queue.admitted],
    queue.limits.map(({ resource, used, most }) => `${used}/${most ?? 'any'} ${resource}`).join(', '),
  ]);
  const lost = cluster.watches
    .filter(({ connected }) => !connected)
    .map(({ name, last_sync_age_ms: age }) => [name, Math.round(age / 1_000)]);
  const parts: [string[], (string | number)[][]][] = [
    [['GPU', 'RESOURCE', 'MEMORY', 'NODES', 'TOTAL', 'FREE', 'MOST ON A NODE'], groups],
    [['NODE', 'STATE', 'DEVICES FREE', 'CPU FREE', 'MEMORY FREE', 'TAINTS'], nodes],
    [['QUOTA', 'RESOURCE', 'USED', 'LIMIT'], quotas],
    [['QUEUE', 'STATE', 'WAITING', 'ADMITTED', 'USED'], queues],
    [['NOT CONNECTED', 'SECONDS OLD'], lost],
  ];
  const tables = parts.filter(([, rows]) => rows.length > 0).map(([head, rows]) => table(head, rows));
  return [plain(cluster.message), ...tables].join('\n\n');
}

const stateOf = ({ ready, schedulable }: Cluster['nodes'][number]): string =>
  !ready ? 'away' : schedulable ? 'ready' : 'closed';

const WORDS = { ok: 'ok', warn: 'warn', fail: 'FAIL' } as const;

/** One line for each check, and below it what to do. */
export function findingsText({ checks, ok }: Findings): string {
  const width = Math.max(0, ...checks.map(({ check }) => check.length));
  const lines = checks.flatMap(({ check, state, message, fix }) => [
    `${WORDS[state].padEnd(4)}  ${plain(check).padEnd(width)}  ${plain(message)}`,
    ...(fix === null ? [] : [`${' '.repeat(width + 8)}-> ${plain(fix)}`]),
  ]);
  const failed = checks.filter(({ state }) => state === 'fail').length;
  return [...lines, '', ok ? 'Runs can be made here.' : `${failed} of ${checks.length} checks failed.`].join('\n');
}

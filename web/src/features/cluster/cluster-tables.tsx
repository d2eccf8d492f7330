'use client';
import { Badge, Table } from '@luthier/ui';
import type { Column } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import type { Cluster } from '../../lib/api/cluster';
import { useFormat } from '../../lib/use-format';

type Group = Cluster['groups'][number];
type ClusterNode = Cluster['nodes'][number];
type Quota = Cluster['quotas'][number];
type Queue = NonNullable<Cluster['queues']>[number];

export function DeviceTable({ groups }: { groups: readonly Group[] }) {
  const t = useTranslations('cluster');
  const format = useFormat();
  const columns: Column<Group>[] = [
    {
      key: 'product',
      title: t('column.device'),
      cell: ({ product, resource }) => <Named name={product} about={resource} />,
    },
    {
      key: 'memory',
      title: t('column.deviceMemory'),
      align: 'end',
      wide: true,
      cell: ({ device_memory_mib: memory }) => (memory === null ? t('unknown') : format.mib(memory)),
    },
    { key: 'free', title: t('column.free'), align: 'end', cell: ({ free, total }) => t('freeOf', { free, total }) },
    { key: 'nodes', title: t('column.nodes'), align: 'end', wide: true, cell: ({ nodes }) => format.number(nodes) },
    {
      key: 'largest',
      title: t('column.largest'),
      align: 'end',
      wide: true,
      cell: ({ largest_node: most }) => format.number(most),
    },
  ];
  return (
    <Table
      label={t('devices')}
      columns={columns}
      rows={groups}
      rowKey={({ product, resource, device_memory_mib: memory }) => `${product} ${resource} ${memory}`}
    />
  );
}

export function NodeTable({ nodes }: { nodes: readonly ClusterNode[] }) {
  const t = useTranslations('cluster');
  const format = useFormat();
  const columns: Column<ClusterNode>[] = [
    {
      key: 'name',
      title: t('column.node'),
      cell: ({ name, taints }) => (
        <Named
          name={name}
          about={taints.map(({ key, value }) => (value === '' ? key : `${key}=${value}`)).join(', ')}
        />
      ),
    },
    { key: 'state', title: t('column.state'), cell: (node) => <NodeState node={node} /> },
    {
      key: 'devices',
      title: t('column.devices'),
      cell: ({ devices }) =>
        devices.length === 0
          ? t('cpuOnly')
          : devices.map(({ resource, free, total }) => (
              <span key={resource} className="block">
                {t('freeOf', { free, total })}{' '}
                <span className={`text-xs whitespace-nowrap text-muted ${devices.length === 1 ? 'max-sm:hidden' : ''}`}>
                  {resource}
                </span>
              </span>
            )),
    },
    {
      key: 'cpu',
      title: t('column.cpu'),
      align: 'end',
      wide: true,
      className: 'whitespace-nowrap',
      cell: ({ cpu }) => t('freeOf', { free: format.number(cpu.free, 1), total: format.number(cpu.total, 1) }),
    },
    {
      key: 'memory',
      title: t('column.memoryFree'),
      align: 'end',
      wide: true,
      className: 'whitespace-nowrap',
      cell: ({ memory_mib: memory }) => t('freeOf', { free: format.mib(memory.free), total: format.mib(memory.total) }),
    },
  ];
  return <Table label={t('column.nodes')} columns={columns} rows={nodes} rowKey={({ name }) => name} />;
}

function NodeState({ node }: { node: ClusterNode }) {
  const t = useTranslations('cluster');
  if (!node.ready) return <Badge tone="bad">{t('state.silent')}</Badge>;
  return node.schedulable ? (
    <Badge tone="good">{t('state.ready')}</Badge>
  ) : (
    <Badge tone="warn">{t('state.closed')}</Badge>
  );
}

export function QuotaTable({ quotas }: { quotas: readonly Quota[] }) {
  const t = useTranslations('cluster');
  const format = useFormat();
  const columns: Column<Quota>[] = [
    { key: 'name', title: t('column.quota'), cell: ({ name, resource }) => <Named name={name} about={resource} /> },
    { key: 'used', title: t('column.used'), align: 'end', cell: ({ used }) => format.number(used) },
    { key: 'hard', title: t('column.limit'), align: 'end', cell: ({ hard }) => format.number(hard) },
  ];
  return (
    <Table
      label={t('column.quota')}
      columns={columns}
      rows={quotas}
      rowKey={({ name, resource }) => `${name} ${resource}`}
    />
  );
}

export function QueueTable({ queues }: { queues: readonly Queue[] }) {
  const t = useTranslations('cluster');
  const format = useFormat();
  const columns: Column<Queue>[] = [
    {
      key: 'name',
      title: t('column.queue'),
      cell: ({ name, cluster_queue: of }) => <Named name={name} about={of} />,
    },
    {
      key: 'state',
      title: t('column.state'),
      cell: ({ active }) => (
        <Badge tone={active ? 'good' : 'warn'}>{active ? t('state.open') : t('state.stopped')}</Badge>
      ),
    },
    { key: 'waiting', title: t('column.waiting'), align: 'end', cell: ({ pending }) => format.number(pending) },
    { key: 'admitted', title: t('column.admitted'), align: 'end', cell: ({ admitted }) => format.number(admitted) },
    {
      key: 'limits',
      title: t('column.used'),
      wide: true,
      cell: ({ limits }) =>
        limits.map(({ flavor, resource, most, used }) => (
          <span key={`${flavor} ${resource}`} className="block">
            {most === null ? t('usedAny', { used }) : t('usedOf', { used, most })}{' '}
            <span className="text-xs break-all text-muted">{resource}</span>
          </span>
        )),
    },
  ];
  return <Table label={t('queues')} columns={columns} rows={queues} rowKey={({ name }) => name} />;
}

function Named({ name, about }: { name: string; about: string }) {
  return (
    <>
      <span className="font-medium break-all">{name}</span>
      {about !== '' && <span className="block text-xs break-all text-muted">{about}</span>}
    </>
  );
}

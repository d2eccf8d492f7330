'use client';
import { Card, EmptyState, Notice } from '@luthier/ui';
import { useQuery } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import { clusterQuery } from '../../lib/api/cluster';
import type { Cluster } from '../../lib/api/cluster';
import { PageHeader } from '../../lib/page-header';
import { QueryView } from '../../lib/query-view';
import { useFormat } from '../../lib/use-format';
import { DeviceTable, NodeTable, QueueTable, QuotaTable } from './cluster-tables';
import { Doctor } from './doctor';

/** What there is to run on, what of it is free, and what is wrong with it. */
export function ClusterPage() {
  const t = useTranslations('cluster');
  const query = useQuery(clusterQuery);
  return (
    <>
      <PageHeader title={t('title')} text={t('intro')} />
      <QueryView query={query} lines={8}>
        {(cluster) => (cluster.executor === 'process' ? <NoCluster /> : <Contents cluster={cluster} />)}
      </QueryView>
    </>
  );
}

function NoCluster() {
  const t = useTranslations('cluster');
  return <EmptyState title={t('none')} text={t('noneText')} />;
}

function Contents({ cluster }: { cluster: Cluster }) {
  const t = useTranslations('cluster');
  const format = useFormat();
  const lost = cluster.watches.filter(({ connected }) => !connected);
  return (
    <div className="flex flex-col gap-5">
      {lost.length > 0 && (
        <Notice
          tone="warn"
          title={t('lost', { list: lost.map(({ name }) => name).join(', ') })}
          hint={t('lostHint', {
            age: format.duration(Math.max(...lost.map((watch) => watch.last_sync_age_ms)) / 1_000),
          })}
        />
      )}
      <Card title={t('devices')} flush>
        {cluster.groups.length === 0 ? (
          <EmptyState title={t('noDevices')} text={t('noDevicesText')} />
        ) : (
          <DeviceTable groups={cluster.groups} />
        )}
      </Card>
      <Card title={t('nodes', { count: cluster.nodes.length })} flush>
        {cluster.nodes.length === 0 ? (
          <EmptyState title={t('noNodes')} text={t('noNodesText')} />
        ) : (
          <NodeTable nodes={cluster.nodes} />
        )}
      </Card>
      {cluster.quotas.length > 0 && (
        <Card title={t('quotas', { namespace: cluster.namespace ?? '' })} flush>
          <QuotaTable quotas={cluster.quotas} />
        </Card>
      )}
      {cluster.queues !== null && (
        <Card title={t('queues')} flush>
          {cluster.queues.length === 0 ? (
            <EmptyState title={t('noQueues')} text={t('noQueuesText')} />
          ) : (
            <QueueTable queues={cluster.queues} />
          )}
        </Card>
      )}
      <Doctor />
    </div>
  );
}

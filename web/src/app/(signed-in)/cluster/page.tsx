import type { Metadata } from 'next';
import { getTranslations } from 'next-intl/server';
import { ClusterPage } from '../../../features/cluster/cluster-page';

export const generateMetadata = async (): Promise<Metadata> => ({
  title: (await getTranslations('common'))('nav.cluster'),
});

export default ClusterPage;

import type { Metadata } from 'next';
import { getTranslations } from 'next-intl/server';
import { DatasetDetail } from '../../../../features/files/dataset-detail';

export const generateMetadata = async (): Promise<Metadata> => ({
  title: (await getTranslations('common'))('nav.dataset'),
});

export default async function Page({ params }: { params: Promise<{ datasetId: string }> }) {
  return <DatasetDetail datasetId={(await params).datasetId} />;
}

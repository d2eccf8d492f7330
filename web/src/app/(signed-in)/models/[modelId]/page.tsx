import type { Metadata } from 'next';
import { getTranslations } from 'next-intl/server';
import { ModelDetail } from '../../../../features/models/model-detail';

export const generateMetadata = async (): Promise<Metadata> => ({
  title: (await getTranslations('common'))('nav.model'),
});

export default async function Page({ params }: { params: Promise<{ modelId: string }> }) {
  return <ModelDetail modelId={(await params).modelId} />;
}

import type { Metadata } from 'next';
import { getTranslations } from 'next-intl/server';
import { FileDetail } from '../../../../features/files/file-detail';

export const generateMetadata = async (): Promise<Metadata> => ({
  title: (await getTranslations('common'))('nav.file'),
});

export default async function Page({ params }: { params: Promise<{ fileId: string }> }) {
  return <FileDetail fileId={(await params).fileId} />;
}

import type { Metadata } from 'next';
import { getTranslations } from 'next-intl/server';
import { JobDetail } from '../../../../features/jobs/job-detail';

export const generateMetadata = async (): Promise<Metadata> => ({
  title: (await getTranslations('common'))('nav.job'),
});

export default async function Page({ params }: { params: Promise<{ jobId: string }> }) {
  return <JobDetail jobId={(await params).jobId} />;
}

import type { Metadata } from 'next';
import { getTranslations } from 'next-intl/server';
import { JobList } from '../../../features/jobs/job-list';

export const generateMetadata = async (): Promise<Metadata> => ({
  title: (await getTranslations('common'))('nav.jobs'),
});

export default JobList;

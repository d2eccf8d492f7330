import type { Metadata } from 'next';
import { getTranslations } from 'next-intl/server';
import { NewJob } from '../../../../features/new-job/new-job';

export const generateMetadata = async (): Promise<Metadata> => ({
  title: (await getTranslations('common'))('nav.newJob'),
});

export default NewJob;

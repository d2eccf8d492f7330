import type { Metadata } from 'next';
import { getTranslations } from 'next-intl/server';
import { ModelList } from '../../../features/models/model-list';

export const generateMetadata = async (): Promise<Metadata> => ({
  title: (await getTranslations('common'))('nav.models'),
});

export default ModelList;

import type { Metadata } from 'next';
import { getTranslations } from 'next-intl/server';
import { Playground } from '../../../features/playground/playground';

export const generateMetadata = async (): Promise<Metadata> => ({
  title: (await getTranslations('common'))('nav.playground'),
});

export default Playground;

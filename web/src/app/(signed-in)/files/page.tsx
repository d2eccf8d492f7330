import type { Metadata } from 'next';
import { getTranslations } from 'next-intl/server';
import { FileList } from '../../../features/files/file-list';

export const generateMetadata = async (): Promise<Metadata> => ({
  title: (await getTranslations('common'))('nav.files'),
});

export default FileList;

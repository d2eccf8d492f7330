import type { Metadata } from 'next';
import { getTranslations } from 'next-intl/server';
import { SignIn } from '../../features/session/sign-in';

export const generateMetadata = async (): Promise<Metadata> => ({
  title: (await getTranslations('common'))('nav.signIn'),
});

export default SignIn;

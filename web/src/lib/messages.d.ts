import type messages from '../../messages/en.json';
import type { Locale } from './locales';

/** Makes `t('…')` refuse keys that messages/en.json does not have. */
declare module 'next-intl' {
  interface AppConfig {
    Messages: typeof messages;
    Locale: Locale;
  }
}

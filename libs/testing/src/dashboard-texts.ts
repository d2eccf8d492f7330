import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export type Locale = 'en' | 'zh';
/** A text of the dashboard with its values, as its `told.ts` has it. */
export interface Told {
  key: string;
  values?: Readonly<Record<string, string | number>>;
  mib?: Readonly<Record<string, number>>;
  times?: Readonly<Record<string, string>>;
  parts?: Readonly<Record<string, Told>>;
}
interface Translate {
  (key: string, values?: Readonly<Record<string, string | number>>): string;
  has: (key: string) => boolean;
}
interface Intl {
  createTranslator: (
    this: void,
    options: { locale: string; messages: unknown; namespace: string; onError: (error: Error) => never },
  ) => Translate;
}

const WEB = new URL('../../../web/', import.meta.url);
/** A module of the dashboard, from its sources. */
export const dashboardModule = async <Module>(file: string): Promise<Module> =>
  (await import(fileURLToPath(new URL(file, WEB)))) as Module;
const gigabytes = (mib: number): string => `${Math.round(mib / 1_024)} GB`;

/** Says texts of the dashboard; throws where a text lacks a value or there is none. */
export function dashboardTexts(): {
  has: (locale: Locale, told: Told) => boolean;
  say: (locale: Locale, told: Told) => string;
} {
  const requireOfWeb = createRequire(new URL('package.json', WEB));
  const { createTranslator } = requireOfWeb('next-intl') as Intl;
  const translate = (locale: Locale): Translate =>
    createTranslator({
      locale,
      namespace: 'told',
      messages: JSON.parse(readFileSync(new URL(`messages/${locale}.json`, WEB), 'utf8')) as unknown,
      onError: (error) => {
        throw error;
      },
    });
  const by = { en: translate('en'), zh: translate('zh') };
  const say = (locale: Locale, { key, values, mib = {}, times, parts = {} }: Told): string =>
    by[locale](key, {
      ...{ ...values, ...times },
      ...Object.fromEntries(Object.entries(mib).map(([name, value]) => [name, gigabytes(value)])),
      ...Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, say(locale, part)])),
    });
  return { has: (locale, { key }) => by[locale].has(key), say };
}

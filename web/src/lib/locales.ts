/** Languages of the dashboard; the first is used when none is asked for. */
const LOCALES = ['en', 'zh'] as const;
export type Locale = (typeof LOCALES)[number];

/** Holds the language that the reader chose; read on the server, so that the first paint is already right. */
export const LOCALE_COOKIE = 'luthier_locale';

const isLocale = (value: unknown): value is Locale => LOCALES.some((locale) => locale === value);

/** The chosen language, else the first known one of `Accept-Language` by weight, else English. */
export function pickLocale(cookie: string | undefined, acceptLanguage: string | null): Locale {
  if (isLocale(cookie)) return cookie;
  const wanted = (acceptLanguage ?? '')
    .split(',')
    .map((part) => {
      const [tag = '', ...parameters] = part.trim().split(';');
      const quality = parameters.map((p) => /^\s*q=([\d.]+)$/.exec(p)?.[1]).find((q) => q !== undefined);
      return { language: tag.toLowerCase().split('-')[0], weight: quality === undefined ? 1 : Number(quality) };
    })
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight);
  return wanted.map(({ language }) => language).find(isLocale) ?? LOCALES[0];
}

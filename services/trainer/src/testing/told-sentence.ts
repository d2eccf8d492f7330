import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { RunParams, RunReason } from '@luthier/contracts';

interface Told {
  key: string;
  values?: Readonly<Record<string, string | number>>;
  times?: Readonly<Record<string, string>>;
  words?: Readonly<Record<string, string>>;
}
type Translate = (key: string, values?: Readonly<Record<string, string | number>>) => string;
interface Intl {
  createTranslator: (this: void, options: { locale: string; messages: unknown; namespace: string }) => Translate;
}

const WEB = new URL('../../../../web/', import.meta.url);

/** What the dashboard makes of a reason: its own code and texts, read from its sources. */
export async function dashboardSentences(): Promise<
  (locale: 'en' | 'zh', told: { reason: RunReason; params?: RunParams | undefined }) => string
> {
  const requireOfWeb = createRequire(new URL('package.json', WEB));
  const { createTranslator } = requireOfWeb('next-intl') as Intl;
  const { runTold } = (await import(fileURLToPath(new URL('src/lib/told.ts', WEB)))) as {
    runTold: (run: { reason: RunReason; params: RunParams }) => Told;
  };
  const translate = (locale: string): Translate =>
    createTranslator({
      locale,
      namespace: 'told',
      messages: JSON.parse(readFileSync(new URL(`messages/${locale}.json`, WEB), 'utf8')) as unknown,
    });
  const by = { en: translate('en'), zh: translate('zh') };
  return (locale, { reason, params = {} }) => {
    const { key, values, times, words = {} } = runTold({ reason, params });
    const said = Object.entries(words).map(([name, word]) => [name, by[locale](word)] as const);
    return by[locale](key, { ...values, ...times, ...Object.fromEntries(said) });
  };
}

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { ClusterCheck, Obstacle, RunParams, RunReason } from '@luthier/contracts';

type Locale = 'en' | 'zh';
interface Told {
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

const WEB = new URL('../../../../web/', import.meta.url);
const load = async <Module>(file: string): Promise<Module> =>
  (await import(fileURLToPath(new URL(file, WEB)))) as Module;
const gigabytes = (mib: number): string => `${Math.round(mib / 1_024)} GB`;

/** Says texts of the dashboard; throws where a text lacks a value or there is none. */
function teller(): { has: (locale: Locale, told: Told) => boolean; say: (locale: Locale, told: Told) => string } {
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

/** What the dashboard makes of a reason: its own code and texts, read from its sources. */
export async function dashboardSentences(): Promise<
  (locale: Locale, told: { reason: RunReason; params?: RunParams | undefined }) => string
> {
  const { runTold } = await load<{ runTold: (run: { reason: RunReason; params: RunParams }) => Told }>(
    'src/lib/told.ts',
  );
  const { say } = teller();
  return (locale, { reason, params = {} }) => say(locale, runTold({ reason, params }));
}

/** As public HTTP has it. */
const onWire = ({ nearest, ...rest }: Obstacle): object => ({
  ...rest,
  nearest: nearest && {
    ...{ nodes: nearest.nodes, devices_per_node: nearest.devicesPerNode, device_type: nearest.deviceType },
    ...{ other_type: nearest.otherType, without_queue: nearest.withoutQueue },
  },
});

interface SaidFinding {
  title: string;
  message: string;
  fix: string | null;
}

/** The same of what is in the way of a run, and of what the doctor found. */
export async function dashboardFindings(): Promise<{
  obstacle: (locale: Locale, found: Obstacle) => string;
  finding: (locale: Locale, found: ClusterCheck) => SaidFinding;
}> {
  const { obstacleTold } = await load<{ obstacleTold: (found: object) => Told[] }>('src/lib/obstacle-told.ts');
  const { findingTold } = await load<{
    findingTold: (found: object) => { title: Told; message: Told[]; fixes: Told[] };
  }>('src/lib/finding-told.ts');
  const { has, say } = teller();
  const all = (locale: Locale, told: readonly Told[]): string =>
    told.map((one) => say(locale, one)).join(locale === 'zh' ? '' : ' ');
  return {
    obstacle: (locale, found) => all(locale, obstacleTold(onWire(found))),
    finding: (locale, found) => {
      const wire = { ...found, obstacle: found.obstacle && onWire(found.obstacle) };
      const { title, message, fixes } = findingTold(wire);
      const fix = fixes.find((told) => has(locale, told));
      return { title: say(locale, title), message: all(locale, message), fix: fix ? say(locale, fix) : null };
    },
  };
}

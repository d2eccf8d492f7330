const DASH = '–';

type Maybe = number | null | undefined;
const known = (value: Maybe): value is number => typeof value === 'number' && Number.isFinite(value);

/** A number with at most `digits` places after the point; a dash when there is none. */
export function formatNumber(value: Maybe, locale: string, digits = 0): string {
  return known(value) ? new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value) : DASH;
}

/** Three figures that count, small values in powers of ten, e.g. learning rates. */
export function formatSignificant(value: Maybe, locale: string): string {
  if (!known(value)) return DASH;
  if (value !== 0 && Math.abs(value) < 1e-3) {
    return new Intl.NumberFormat(locale, { notation: 'scientific', maximumSignificantDigits: 3 }).format(value);
  }
  return new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 }).format(value);
}

/** Large counts in short, e.g. `135M`. */
export function formatCompact(value: Maybe, locale: string): string {
  return known(value)
    ? new Intl.NumberFormat(locale, { notation: 'compact', maximumFractionDigits: 1 }).format(value)
    : DASH;
}

/** A share from 0 to 1 in per cent. */
export function formatPercent(value: Maybe, locale: string, digits = 0): string {
  return known(value)
    ? new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: digits }).format(value)
    : DASH;
}

/** Memory in MiB, from 1 GiB on in GiB. */
export function formatMib(mib: Maybe, locale: string): string {
  if (!known(mib)) return DASH;
  return Math.abs(mib) >= 1024
    ? `${formatNumber(mib / 1024, locale, 1)} GiB`
    : `${formatNumber(mib, locale, Math.abs(mib) < 10 ? 1 : 0)} MiB`;
}

/** The size of a file. */
export function formatBytes(bytes: Maybe, locale: string): string {
  if (!known(bytes)) return DASH;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${formatNumber(bytes / 1024 ** power, locale, power === 0 ? 0 : 1)} ${units[power] ?? 'B'}`;
}

const inUnit = (value: number, unit: 'second' | 'minute' | 'hour' | 'day', locale: string, digits = 0): string =>
  new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: digits }).format(
    value,
  );

/** A length of time in its two largest units, e.g. `3 min 20 sec`. */
export function formatDuration(seconds: Maybe, locale: string): string {
  if (!known(seconds) || seconds < 0) return DASH;
  if (seconds < 10) return inUnit(seconds, 'second', locale, 1);
  const whole = Math.round(seconds);
  const parts = [
    ['day', Math.floor(whole / 86_400)],
    ['hour', Math.floor(whole / 3600) % 24],
    ['minute', Math.floor(whole / 60) % 60],
    ['second', whole % 60],
  ] as const;
  const first = parts.findIndex(([, value]) => value > 0);
  return parts
    .slice(first, first + 2)
    .filter(([, value]) => value > 0)
    .map(([unit, value]) => inUnit(value, unit, locale))
    .join(locale.startsWith('zh') ? '' : ' ');
}

/** Facts that an answer must hold, each in any of its wordings. */
export const formatFacts = (facts: readonly string[]): string =>
  facts.map((fact) => fact.split('|').join(' / ')).join(', ');

/** The name of a language by its code, e.g. `en`; a code that is none stays as it is. */
export function formatLanguage(code: string, locale: string): string {
  try {
    return new Intl.DisplayNames(locale, { type: 'language' }).of(code) ?? code;
  } catch {
    return code;
  }
}

/** Date and time of an ISO text or of Unix seconds, in the reader's own time zone unless one is named. */
export function formatTime(time: string | number | null | undefined, locale: string, timeZone?: string): string {
  if (time === null || time === undefined) return DASH;
  const date = new Date(typeof time === 'number' ? time * 1000 : time);
  if (Number.isNaN(date.getTime())) return DASH;
  return new Intl.DateTimeFormat(locale, {
    dateStyle: 'medium',
    timeStyle: 'short',
    ...(timeZone !== undefined && { timeZone }),
  }).format(date);
}

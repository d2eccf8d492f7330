const SUFFIXES: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};
const QUANTITY = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i))?$/;
const MIB = 2 ** 20;

/** A Kubernetes quantity ("1500m", "64Gi", "2e3") as a number; what is none counts as 0. */
export function quantity(text: string | number | undefined): number {
  const match = QUANTITY.exec(String(text ?? '').trim());
  if (!match) return 0;
  const [, digits = '0', exponent = '', suffix = ''] = match;
  const value = Number(`${digits}${exponent}`) * (SUFFIXES[suffix] ?? 1);
  return Number.isFinite(value) ? value : 0;
}

/** Amounts as the inventory keeps them: CPU in cores, memory and storage in MiB, all else counted. */
export const amount = (resource: string, text: string | number | undefined): number => {
  const value = quantity(text);
  return isBytes(resource) ? value / MIB : value;
};

const isBytes = (resource: string): boolean => /(^|[./])(memory|storage|ephemeral-storage)$/.test(resource);

/** Thousandths are enough, and sums of parts do not drift. */
export const rounded = (value: number): number => Math.round(value * 1e3) / 1e3;

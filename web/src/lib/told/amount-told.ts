import type { Told } from './told';

type Value = string | number;

/** Names of resources without what quotas put before them. */
const plainName = (resource: string): string => resource.replace(/^(?:requests\.|limits\.|count\/)/, '');
const isDevice = (name: string): boolean => /gpu|mig-/i.test(name);

/** What people call a resource of the cluster: a word of ours, or its own name. */
export function thingOf(resource: string): { name?: string; word?: string } {
  const name = plainName(resource);
  if (isDevice(name)) return { word: 'thing.gpu' };
  if (name === 'cpu' || name === 'memory') return { word: `thing.${name}` };
  return name === 'ephemeral-storage' ? { word: 'thing.disk' } : { name };
}

/** An amount of a resource; null: of memory, in MiB. */
function amountTold(resource: string, count: Value): Told | null {
  const name = plainName(resource);
  if (name === 'memory') return null;
  if (isDevice(name)) return { key: 'amount.gpu', values: { count } };
  return name === 'cpu'
    ? { key: 'amount.cpu', values: { count } }
    : { key: 'amount.other', values: { count, resource: name } };
}

export const shapeTold = (nodes: Value, devices: Value): Told => ({ key: 'amount.shape', values: { nodes, devices } });

const AMOUNTS: ReadonlySet<string> = new Set(['hard', 'used', 'needed', 'max', 'most']);

/** Values that the platform sends with a sentence: empty ones are `none`, amounts come in the reader's words. */
export function paramsTold(params: Readonly<Record<string, Value>>): Required<Pick<Told, 'values' | 'mib' | 'parts'>> {
  const { resource, nodes, devicesPerNode } = params;
  const values: Record<string, Value> = {};
  const mib: Record<string, number> = {};
  const parts: Record<string, Told> = {};
  for (const [name, value] of Object.entries(params)) {
    const isAmount = AMOUNTS.has(name) && resource !== undefined;
    const amount = isAmount ? amountTold(String(resource), value) : undefined;
    if (value === '') values[name] = 'none';
    else if (amount) parts[name] = amount;
    else if (amount === null || name.endsWith('Mib')) mib[name] = Number(value);
    else values[name] = value;
  }
  if (nodes !== undefined && devicesPerNode !== undefined) parts['shape'] = shapeTold(nodes, devicesPerNode);
  return { values, mib, parts };
}

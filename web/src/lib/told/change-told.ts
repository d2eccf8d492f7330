import { shapeTold } from './amount-told';
import type { Told } from './told';

/** Fields of a job as the planner changes them, and the sentence of each. */
const OF_FIELD: Readonly<Record<string, string>> = {
  'hyperparameters.batch_size': 'change.batch',
  'hyperparameters.learning_rate': 'change.learningRate',
  cutoff_length: 'change.cutoff',
  'tuning.r': 'change.rank',
  'tuning.type': 'change.tuning',
  'tuning.bits': 'change.bits',
};

/** What an alternative of a plan changes, a piece for each change; empty for one that this dashboard does not know. */
export function changeTold(change: Readonly<Record<string, string | number>>): Told[] {
  const { 'resources.nodes': nodes, 'resources.devices_per_node': devices, ...others } = change;
  const place = nodes === undefined || devices === undefined ? [] : [placeTold(nodes, devices)];
  const told = Object.entries(others).map(([field, value]) => {
    const key = OF_FIELD[field];
    return key === undefined ? undefined : { key, values: { value } };
  });
  const known = told.filter((one) => one !== undefined);
  return known.length === told.length ? [...place, ...known] : [];
}

const placeTold = (nodes: string | number, devices: string | number): Told =>
  devices === 0 ? { key: 'advice.cpu' } : shapeTold(nodes, devices);

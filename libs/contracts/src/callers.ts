import type { ServiceName } from './define.js';

/** Which services a service may send requests to; the credentials of each are generated from this. */
export const CALLS: Readonly<Record<ServiceName, readonly ServiceName[]>> = {
  gateway: ['datasets', 'training', 'trainer', 'evaluation', 'registry', 'inference'],
  datasets: ['training'],
  training: ['datasets', 'registry', 'evaluation', 'trainer'],
  trainer: [],
  evaluation: ['datasets', 'registry', 'inference'],
  registry: [],
  inference: ['registry'],
};

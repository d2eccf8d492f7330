import type { EventDefinition, RequestDefinition } from './define.js';
import * as datasets from './services/datasets.js';
import * as evaluation from './services/evaluation.js';
import * as inference from './services/inference.js';
import * as registry from './services/registry.js';
import * as trainer from './services/trainer.js';
import * as training from './services/training.js';

const declared: unknown[] = [datasets, evaluation, inference, registry, trainer, training].flatMap((m) =>
  Object.values<unknown>(m),
);
const isKind = (value: unknown, kind: string): boolean =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind && 'subject' in value;

/** Every request there is; permissions and guard tests read it. */
export const REQUESTS = declared.filter((v): v is RequestDefinition => isKind(v, 'request'));
/** Every event of record there is. */
export const EVENTS = declared.filter((v): v is EventDefinition => isKind(v, 'event'));

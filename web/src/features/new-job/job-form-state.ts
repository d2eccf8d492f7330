import type { Job, JobBody } from '../../lib/api/jobs';
import type { Change } from '../jobs/plan-view';
import { EMPTY_FINE_SETTINGS, fineHyperparameters, fineSettingsOf, fineTuning } from './fine-settings';
import type { FineNumber, FineSettings } from './fine-settings';
import { methodBody, methodSettingsOf } from './method-settings';
import type { MethodSetting } from './method-settings';
import { EMPTY_GRADER, graderOf } from './grader-form';
import type { GraderForm } from './grader-form';
import type { Method } from './job-methods';
import { TUNING_KINDS, tuningBody } from './tuning-kinds';
import type { TuningKind } from './tuning-kinds';

export type Priority = NonNullable<Job['priority']>;
/** Whether the hardest steps are tried first; `advised`: where that costs little beside the run. */
export const REHEARSALS = ['advised', 'yes', 'no'] as const;

/** From what comes first to what may wait. */
export const PRIORITIES: readonly Priority[] = ['high', 'normal', 'low'];

/** What the form holds, as written; an empty text leaves the choice to the platform. */
export interface JobForm extends GraderForm, FineSettings {
  model: string;
  trainingFile: string;
  /** Empty: the first that learns from the rows of the file. */
  method: Method | '';
  heldOutFile: string;
  generalFile: string;
  mixFile: string;
  mixPercent: string;
  suffix: string;
  priority: Priority;
  rehearsal: (typeof REHEARSALS)[number];
  epochs: string;
  learningRate: string;
  batchSize: string;
  tuning: TuningKind;
  trainableLayers: string;
  rank: string;
  alpha: string;
  cutoffLength: string;
  seed: string;
  nodes: string;
  devicesPerNode: string;
  deviceType: string;
  queue: string;
  beta: string;
  gamma: string;
  labelSmoothing: string;
  centring: string;
  groupSize: string;
  stepsEach: string;
  answerTokens: string;
  temperature: string;
  desirableWeight: string;
  undesirableWeight: string;
}

export const EMPTY_FORM: JobForm = {
  model: '',
  trainingFile: '',
  method: '',
  heldOutFile: '',
  generalFile: '',
  mixFile: '',
  mixPercent: '15',
  suffix: '',
  priority: 'normal',
  rehearsal: 'advised',
  epochs: '',
  learningRate: '',
  batchSize: '',
  tuning: 'lora',
  trainableLayers: '2',
  rank: '',
  alpha: '',
  cutoffLength: '',
  seed: '',
  nodes: '',
  devicesPerNode: '',
  deviceType: '',
  queue: '',
  beta: '',
  gamma: '',
  labelSmoothing: '',
  centring: '',
  groupSize: '',
  stepsEach: '',
  answerTokens: '',
  temperature: '',
  ...EMPTY_GRADER,
  desirableWeight: '',
  undesirableWeight: '',
  ...EMPTY_FINE_SETTINGS,
};

type NumberField =
  | (
      | 'epochs'
      | 'learningRate'
      | 'batchSize'
      | 'rank'
      | 'alpha'
      | 'cutoffLength'
      | 'seed'
      | 'mixPercent'
      | 'trainableLayers'
    )
  | ('nodes' | 'devicesPerNode' | MethodSetting | FineNumber);

interface Range {
  min: number;
  max: number;
  whole: boolean;
}

/** As the API takes them; more general rows than this would drown the examples. */
export const RANGES: Readonly<Record<NumberField, Range>> = {
  epochs: { min: 1, max: 50, whole: false },
  learningRate: { min: 1e-8, max: 1, whole: false },
  batchSize: { min: 1, max: 256, whole: true },
  trainableLayers: { min: 1, max: 1000, whole: true },
  rank: { min: 1, max: 1024, whole: true },
  alpha: { min: 0.01, max: 4096, whole: false },
  cutoffLength: { min: 16, max: 131_072, whole: true },
  seed: { min: 0, max: 2_147_483_647, whole: true },
  mixPercent: { min: 0, max: 30, whole: false },
  nodes: { min: 1, max: 1024, whole: true },
  devicesPerNode: { min: 0, max: 128, whole: true },
  beta: { min: 0.001, max: 100, whole: false },
  gamma: { min: 0, max: 100, whole: false },
  labelSmoothing: { min: 0, max: 0.5, whole: false },
  centring: { min: 0, max: 100, whole: false },
  groupSize: { min: 2, max: 64, whole: true },
  stepsEach: { min: 1, max: 16, whole: true },
  answerTokens: { min: 1, max: 4096, whole: true },
  temperature: { min: 0.01, max: 2, whole: false },
  desirableWeight: { min: 0.01, max: 100, whole: false },
  undesirableWeight: { min: 0.01, max: 100, whole: false },
  loraplusRatio: { min: 1, max: 1000, whole: false },
  noiseAlpha: { min: 0.01, max: 1000, whole: false },
  smoothing: { min: 0, max: 0.9, whole: false },
  evaluationSteps: { min: 1, max: 1_000_000, whole: true },
  patience: { min: 1, max: 1000, whole: true },
};

const NUMBER_FIELDS = Object.keys(RANGES) as NumberField[];

/** Only these two must be filled in, where they are asked for. */
function isLeftOut(form: JobForm, field: NumberField, text: string): boolean {
  if (field === 'mixPercent') return form.mixFile === '';
  return field === 'trainableLayers' ? form.tuning !== 'freeze' : text === '';
}

/** Fields whose text is no number or out of its range. */
export function wrongFields(form: JobForm): Partial<Record<NumberField, Range>> {
  const wrong = NUMBER_FIELDS.filter((field) => {
    const text = form[field].trim();
    if (isLeftOut(form, field, text)) return false;
    const value = Number(text);
    const { min, max, whole } = RANGES[field];
    return text === '' || !Number.isFinite(value) || value < min || value > max || (whole && !Number.isInteger(value));
  });
  return Object.fromEntries(wrong.map((field) => [field, RANGES[field]]));
}

/** Whether it says anything about where the job is to run. */
export const namesPlace = ({ nodes, devicesPerNode, deviceType, queue }: JobForm): boolean =>
  [nodes, devicesPerNode, deviceType, queue].some((text) => text.trim() !== '');

const numberOf = (text: string): number | undefined => (text.trim() === '' ? undefined : Number(text));

/** The fields that were given, without those that were left open. */
function given<T extends Record<string, unknown>>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** The body of the request; null while it cannot be one. `keepsTuning`: it starts from an adapter, which keeps its form. */
export function jobBody(form: JobForm, { keepsTuning = false } = {}): JobBody | null {
  if (form.model === '' || form.trainingFile === '' || Object.keys(wrongFields(form)).length > 0) return null;
  const grader = form.method === 'grpo' ? graderOf(form) : undefined;
  if (form.method === 'grpo' && !grader) return null;
  const hyperparameters = given({
    n_epochs: numberOf(form.epochs),
    batch_size: numberOf(form.batchSize),
    learning_rate: numberOf(form.learningRate),
    ...fineHyperparameters(form),
  });
  const tuning = tuningBody(
    form.tuning,
    given({
      ...{ r: numberOf(form.rank), lora_alpha: numberOf(form.alpha) },
      trainable_layers: numberOf(form.trainableLayers),
      ...fineTuning(form.tuning, form),
    }),
  );
  const resources = given({
    nodes: numberOf(form.nodes),
    devices_per_node: numberOf(form.devicesPerNode),
    device_type: form.deviceType.trim() || undefined,
  });
  return {
    model: form.model,
    training_file: form.trainingFile,
    ...(form.heldOutFile !== '' && { validation_file: form.heldOutFile }),
    ...(form.generalFile !== '' && { general_file: form.generalFile }),
    ...(form.mixFile !== '' &&
      Number(form.mixPercent) > 0 && { mix: { file_id: form.mixFile, share: Number(form.mixPercent) / 100 } }),
    ...(form.suffix.trim() !== '' && { suffix: form.suffix.trim() }),
    ...(form.priority !== 'normal' && { priority: form.priority }),
    ...(form.rehearsal !== 'advised' && { rehearsal: form.rehearsal === 'yes' }),
    ...given({ seed: numberOf(form.seed), cutoff_length: numberOf(form.cutoffLength) }),
    method: methodBody(form.method || 'supervised', hyperparameters, (field) => numberOf(form[field]), grader),
    ...(tuning && !keepsTuning && { tuning }),
    ...(Object.keys(resources).length > 0 && { resources }),
    ...(form.queue.trim() !== '' && { queue: form.queue.trim() }),
  };
}

/** What a plan depends on: not on how the model will be called. */
export const withoutName = ({ suffix: _, ...body }: JobBody): JobBody => body;

/** By the last part of a name in the job's own fields, in either spelling. */
const CHANGED_FIELDS: Readonly<Record<string, keyof JobForm>> = {
  epochs: 'epochs',
  n_epochs: 'epochs',
  globalbatch: 'batchSize',
  global_batch: 'batchSize',
  batch_size: 'batchSize',
  learningrate: 'learningRate',
  learning_rate: 'learningRate',
  type: 'tuning',
  bits: 'bits',
  r: 'rank',
  loraalpha: 'alpha',
  lora_alpha: 'alpha',
  cutofflength: 'cutoffLength',
  cutoff_length: 'cutoffLength',
  nodes: 'nodes',
  devices_per_node: 'devicesPerNode',
  model: 'model',
};

/** The form with a proposed change written into it; what the form has no field for is left out. */
export function withChange(form: JobForm, change: Change): JobForm {
  const changed = Object.entries(change).flatMap(([name, value]) => {
    const field = CHANGED_FIELDS[(name.split('.').at(-1) ?? '').toLowerCase()];
    return field === undefined ? [] : [[field, String(value)] as const];
  });
  return { ...form, ...Object.fromEntries(changed) };
}

const textOf = (value: number | null | undefined): string => (value == null ? '' : String(value));

/** The form as an earlier job was asked for, to start another like it. */
export function formOf(job: Job): JobForm {
  const { hyperparameters, tuning, resources } = job;
  const lora = tuning.type === 'lora' || tuning.type === 'qlora' ? tuning : null;
  return {
    ...EMPTY_FORM,
    model: job.model,
    trainingFile: job.training_file,
    heldOutFile: job.validation_file ?? '',
    generalFile: job.general_file ?? '',
    mixFile: job.mix?.file_id ?? '',
    mixPercent: job.mix ? String(Math.round(job.mix.share * 1000) / 10) : EMPTY_FORM.mixPercent,
    suffix: job.suffix ?? '',
    priority: job.priority ?? 'normal',
    epochs: String(hyperparameters.epochs),
    learningRate: String(hyperparameters.learning_rate),
    batchSize: String(hyperparameters.global_batch),
    tuning: TUNING_KINDS.find((kind) => kind === tuning.type) ?? 'lora',
    ...(tuning.type === 'freeze' && { trainableLayers: String(tuning.trainable_layers) }),
    rank: lora ? String(lora.r) : '',
    alpha: lora ? String(lora.lora_alpha) : '',
    cutoffLength: String(job.cutoff_length),
    seed: String(job.seed),
    nodes: textOf(resources?.nodes),
    devicesPerNode: textOf(resources?.devices_per_node),
    deviceType: resources?.device_type ?? '',
    queue: job.queue ?? '',
    ...methodSettingsOf(job.method),
    ...fineSettingsOf(job),
  };
}

import { AppError, idOf } from '@luthier/contracts';
import type { HttpCreateJob, RequestOf, planJob } from '@luthier/contracts';
import { known, toMethod } from './job-method.js';

/** A job request without the id that the gateway gives it. */
export type NewJobRequest = RequestOf<typeof planJob>;

type HttpTuning = NonNullable<HttpCreateJob['tuning']>;
type HttpResources = NonNullable<HttpCreateJob['resources']>;
type HttpHyperparameters = NonNullable<HttpCreateJob['hyperparameters']>;

const fileId = idOf('file');

/** What no file can be called does not exist. @throws AppError `file.not-found` */
function fileParam(value: string, param: string): string {
  if (fileId.safeParse(value).success) return value;
  throw new AppError('file.not-found', `There is no file "${value.slice(0, 100)}"`, { param });
}
const optionalFile = (value: string | null | undefined, param: string): string | null =>
  value === null || value === undefined ? null : fileParam(value, param);

/** OpenAI's names to ours; `auto` and what is left out is decided by training. */
function toHyperparameters(given: HttpHyperparameters): NewJobRequest['hyperparameters'] {
  const mapped = {
    epochs: known(given.n_epochs),
    globalBatch: known(given.batch_size),
    learningRateMultiplier: known(given.learning_rate_multiplier),
    learningRate: given.learning_rate,
    maxSteps: given.max_steps,
    schedule: given.lr_scheduler_type,
    warmupRatio: given.warmup_ratio,
    weightDecay: given.weight_decay,
    maxGradNorm: given.max_grad_norm,
    evaluationSteps: given.eval_steps,
    optimizer: given.optimizer,
    neftuneNoiseAlpha: given.neftune_noise_alpha,
    labelSmoothingFactor: given.label_smoothing_factor,
    earlyStoppingPatience: given.early_stopping_patience,
  };
  return Object.fromEntries(Object.entries(mapped).filter(([, value]) => value !== undefined));
}

/** Fills in what PEFT would: rank 16, alpha twice the rank, no dropout, all linear layers. */
function toTuning(given: HttpTuning): NonNullable<NewJobRequest['tuning']> {
  const { type } = given;
  if (type === 'full') return { type };
  if (type === 'freeze') {
    const { trainable_layers: trainableLayers } = given;
    if (trainableLayers !== undefined) return { type, trainableLayers };
    throw new AppError('request.invalid', 'tuning.trainable_layers: freeze needs the number of layers to train', {
      param: 'tuning.trainable_layers',
    });
  }
  const r = given.r ?? 16;
  const lora = {
    r,
    loraAlpha: given.lora_alpha ?? 2 * r,
    loraDropout: given.lora_dropout ?? 0,
    targetModules: given.target_modules ?? ('all-linear' as const),
    useRslora: given.use_rslora ?? false,
    ...(given.use_dora !== undefined && { useDora: given.use_dora }),
    ...(given.init_lora_weights !== undefined && { initLoraWeights: given.init_lora_weights }),
    ...(given.loraplus_lr_ratio !== undefined && { loraplusLrRatio: given.loraplus_lr_ratio }),
    ...(given.modules_to_save !== undefined && { modulesToSave: given.modules_to_save }),
  };
  return type === 'lora' ? { type, ...lora } : { type, ...lora, bits: given.bits ?? 4 };
}

function toResources(given: HttpResources): NonNullable<NewJobRequest['resources']> {
  const { nodes = 1, devices_per_node: devicesPerNode = null, device_type: deviceType = null } = given;
  if (devicesPerNode === 0 && deviceType !== null) {
    const param = 'resources.device_type';
    throw new AppError('request.invalid', `${param}: devices_per_node 0 means CPUs`, { param });
  }
  return { nodes, devicesPerNode, deviceType };
}

/**
 * The public body as the request that training knows.
 * @throws AppError `request.unsupported` (a method that is not there), `request.invalid`, `file.not-found`.
 */
export function toJobRequest(body: HttpCreateJob): NewJobRequest {
  const { method, hyperparameters } = toMethod(body.method);
  return {
    model: body.model,
    trainingFile: fileParam(body.training_file, 'training_file'),
    validationFile: optionalFile(body.validation_file, 'validation_file'),
    generalFile: optionalFile(body.general_file, 'general_file'),
    mix: body.mix ? { fileId: fileParam(body.mix.file_id, 'mix.file_id'), share: body.mix.share } : null,
    suffix: body.suffix ?? null,
    seed: body.seed ?? null,
    metadata: body.metadata ?? {},
    method,
    tuning: body.tuning ? toTuning(body.tuning) : null,
    hyperparameters: toHyperparameters({ ...body.hyperparameters, ...hyperparameters }),
    cutoffLength: body.cutoff_length ?? null,
    autoFix: body.auto_fix ?? false,
    resources: body.resources ? toResources(body.resources) : null,
    queue: body.queue ?? null,
    priority: body.priority ?? null,
    precision: body.precision ?? null,
    rehearsal: body.rehearsal ?? null,
  };
}

const PUBLIC_NAMES: Readonly<Record<string, string>> = {
  'hyperparameters.epochs': 'hyperparameters.n_epochs',
  'hyperparameters.globalBatch': 'hyperparameters.batch_size',
  'hyperparameters.schedule': 'hyperparameters.lr_scheduler_type',
  'hyperparameters.evaluationSteps': 'hyperparameters.eval_steps',
  'hyperparameters.neftuneNoiseAlpha': 'hyperparameters.neftune_noise_alpha',
  'hyperparameters.labelSmoothingFactor': 'hyperparameters.label_smoothing_factor',
  'hyperparameters.earlyStoppingPatience': 'hyperparameters.early_stopping_patience',
  'tuning.useDora': 'tuning.use_dora',
  'tuning.initLoraWeights': 'tuning.init_lora_weights',
  'tuning.loraplusLrRatio': 'tuning.loraplus_lr_ratio',
  'tuning.modulesToSave': 'tuning.modules_to_save',
};

/** A refusal of training in the caller's own field names. */
export function inPublicNames(thrown: unknown): unknown {
  if (!(thrown instanceof AppError)) return thrown;
  const { param } = thrown;
  const name =
    param === null || param === '' ? (thrown.code.startsWith('model.') ? 'model' : undefined) : PUBLIC_NAMES[param];
  if (name === undefined) return thrown;
  return thrown.withParam(name);
}

import type { Hyperparameters, Method, ModelShape, Tuning } from '@luthier/contracts';
import { adviceForMethod } from './method-advice.js';
import type { MethodAdvice } from './method-advice.js';

type Defined<T> = { [K in keyof T]?: T[K] | undefined };

export interface AdviceInput {
  /** Null while the model is still being imported: the advice is then made for a small model and made again later. */
  shape: ModelShape | null;
  /** Usable rows; null while they are not counted. */
  rows: number | null;
  requested: {
    method: Pick<Method, 'type'>;
    hyperparameters: Defined<Hyperparameters> & { learningRateMultiplier?: number | undefined };
    tuning: Tuning | null;
    cutoffLength: number | null;
  };
}

export interface AdviceNote {
  /** The job's field in its public spelling. */
  field: string;
  note: string;
}

export interface Advice {
  tuning: Tuning;
  hyperparameters: Hyperparameters;
  cutoffLength: number;
  /** Why each value that was not asked for is what it is. */
  notes: AdviceNote[];
}

const DEFAULT_CUTOFF = 1024;
const BILLION = 1e9;

/** Values for everything that the user left open. What the user says is never changed. Pure. */
export function advise({ shape, rows, requested }: AdviceInput): Advice {
  const notes: AdviceNote[] = [];
  const choose = <T>(asked: T | null | undefined, field: string, advised: T, note: string): T => {
    if (asked !== undefined && asked !== null) return asked;
    notes.push({ field, note });
    return advised;
  };
  const given = requested.hyperparameters;
  const tuning = choose(
    requested.tuning,
    'tuning',
    defaultTuning(),
    'LoRA of rank 16 on all linear layers: small, quick, seldom worse than training all weights.',
  );
  const ofMethod = adviceForMethod(requested.method.type);
  const rate = adviseLearningRate(shape, tuning, ofMethod);
  const epochs = adviseEpochs(rows, ofMethod);
  const hyperparameters: Hyperparameters = {
    epochs: choose(given.epochs, 'hyperparameters.n_epochs', epochs.value, epochs.note),
    maxSteps: given.maxSteps ?? null,
    globalBatch: choose(given.globalBatch, 'hyperparameters.batch_size', ofMethod.batch, ofMethod.batchWhy),
    learningRate:
      given.learningRate ??
      Math.min(
        1,
        choose(undefined, 'hyperparameters.learning_rate', rate.value, rate.note) * (given.learningRateMultiplier ?? 1),
      ),
    schedule: given.schedule ?? 'cosine',
    warmupRatio: given.warmupRatio ?? 0.05,
    weightDecay: given.weightDecay ?? 0,
    adamBeta1: given.adamBeta1 ?? 0.9,
    adamBeta2: given.adamBeta2 ?? 0.999,
    adamEpsilon: given.adamEpsilon ?? 1e-8,
    maxGradNorm: given.maxGradNorm ?? 1,
    evaluationSteps: given.evaluationSteps ?? null,
  };
  const longest = shape?.contextLength ?? DEFAULT_CUTOFF;
  const cutoffLength = choose(
    requested.cutoffLength,
    'cutoff_length',
    Math.min(longest, DEFAULT_CUTOFF),
    `Rows longer than this many tokens are cut; the model reads at most ${longest}.`,
  );
  return { tuning, hyperparameters, cutoffLength: Math.min(cutoffLength, longest), notes };
}

const defaultTuning = (): Tuning => ({
  type: 'lora',
  r: 16,
  loraAlpha: 32,
  loraDropout: 0,
  targetModules: 'all-linear',
  useRslora: false,
});

function adviseLearningRate(
  shape: ModelShape | null,
  tuning: Tuning,
  { rateShare, rateWhy }: MethodAdvice,
): { value: number; note: string } {
  const parameters = shape?.parameters ?? 0;
  const adapter = tuning.type === 'lora' || tuning.type === 'qlora';
  const scale = adapter ? 1 : 0.1;
  const of = (value: number, why: string): { value: number; note: string } => ({
    value: Number((value * scale * rateShare).toPrecision(3)),
    note: [
      why,
      ...(adapter ? [] : ["A tenth of an adapter's rate, since the weights themselves are changed."]),
      ...(rateWhy === '' ? [] : [rateWhy]),
    ].join(' '),
  });
  if (parameters > BILLION) return of(2e-4, 'The usual rate for adapters on models above a billion parameters.');
  if (parameters > 0.5 * BILLION) return of(5e-4, 'Models of about a billion parameters learn at a middling rate.');
  if (parameters > 0.2 * BILLION) return of(1e-3, 'Small models need a higher rate than large ones.');
  return of(2e-3, 'Very small models learn facts only at a high rate.');
}

/** Few rows have to be seen more often. */
function adviseEpochs(rows: number | null, { epochsMax }: MethodAdvice): { value: number; note: string } {
  const note = (advised: number): { value: number; note: string } => {
    const value = Math.min(advised, epochsMax);
    const times = value === 1 ? 'once' : `${value} times`;
    return { value, note: rows === null ? 'Set again when the rows are counted.' : `${rows} rows are seen ${times}.` };
  };
  if (rows === null) return note(3);
  if (rows <= 100) return note(6);
  if (rows <= 500) return note(4);
  if (rows <= 5_000) return note(3);
  return note(rows <= 50_000 ? 2 : 1);
}

import type {
  Hyperparameters,
  Method,
  ModelShape,
  PlanNote,
  PlanNoteId,
  PlanNoteParams,
  Tuning,
} from '@luthier/contracts';
import { adviceForMethod } from './method-advice.js';
import type { MethodAdvice } from './method-advice.js';
import { planNote } from './notes.js';

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

export interface Advice {
  tuning: Tuning;
  hyperparameters: Hyperparameters;
  cutoffLength: number;
  /** Why each value that was not asked for is what it is. */
  notes: PlanNote[];
}

const DEFAULT_CUTOFF = 1024;
const BILLION = 1e9;

/** Values for everything that the user left open. What the user says is never changed. Pure. */
export function advise({ shape, rows, requested }: AdviceInput): Advice {
  const notes: PlanNote[] = [];
  const choose = <T>(asked: T | null | undefined, field: string, advised: T, why: readonly Why[]): T => {
    if (asked !== undefined && asked !== null) return asked;
    notes.push(...why.map(({ id, params }) => planNote(id, params, field)));
    return advised;
  };
  const given = requested.hyperparameters;
  const tuning = choose<Tuning>(requested.tuning, 'tuning', ADVISED_TUNING, [
    because('tuning-advised', { rank: ADVISED_TUNING.r }),
  ]);
  const ofMethod = adviceForMethod(requested.method.type);
  const rate = adviseLearningRate(shape, tuning, ofMethod);
  const epochs = adviseEpochs(rows, ofMethod);
  const hyperparameters: Hyperparameters = {
    epochs: choose(given.epochs, 'hyperparameters.n_epochs', epochs.value, [epochs.why]),
    maxSteps: given.maxSteps ?? null,
    globalBatch: choose(given.globalBatch, 'hyperparameters.batch_size', ofMethod.batch, [
      because(ofMethod.batchWhy, { batch: ofMethod.batch }),
    ]),
    learningRate:
      given.learningRate ??
      Math.min(
        1,
        choose(undefined, 'hyperparameters.learning_rate', rate.value, rate.why) * (given.learningRateMultiplier ?? 1),
      ),
    schedule: given.schedule ?? 'cosine',
    warmupRatio: given.warmupRatio ?? 0.05,
    weightDecay: given.weightDecay ?? 0,
    adamBeta1: given.adamBeta1 ?? 0.9,
    adamBeta2: given.adamBeta2 ?? 0.999,
    adamEpsilon: given.adamEpsilon ?? 1e-8,
    maxGradNorm: given.maxGradNorm ?? 1,
    evaluationSteps: given.evaluationSteps ?? null,
    ...(given.optimizer && { optimizer: given.optimizer }),
    ...(given.neftuneNoiseAlpha && { neftuneNoiseAlpha: given.neftuneNoiseAlpha }),
    ...(given.labelSmoothingFactor && { labelSmoothingFactor: given.labelSmoothingFactor }),
    ...(given.earlyStoppingPatience && { earlyStoppingPatience: given.earlyStoppingPatience }),
  };
  const longest = shape?.contextLength ?? DEFAULT_CUTOFF;
  const cutoff = Math.min(longest, DEFAULT_CUTOFF);
  const cutoffLength = choose(requested.cutoffLength, 'cutoff_length', cutoff, [
    because('cutoff-advised', { cutoff, longest }),
  ]);
  return { tuning, hyperparameters, cutoffLength: Math.min(cutoffLength, longest), notes };
}

interface Why {
  readonly id: PlanNoteId;
  readonly params: PlanNoteParams;
}
const because = <Id extends PlanNoteId>(id: Id, params: PlanNoteParams<Id>): Why => ({ id, params });

const ADVISED_TUNING = {
  type: 'lora',
  r: 16,
  loraAlpha: 32,
  loraDropout: 0,
  targetModules: 'all-linear',
  useRslora: false,
} as const satisfies Tuning;

function adviseLearningRate(
  shape: ModelShape | null,
  tuning: Tuning,
  { rateShare, rateWhy }: MethodAdvice,
): { value: number; why: Why[] } {
  const parameters = shape?.parameters ?? 0;
  const adapter = tuning.type === 'lora' || tuning.type === 'qlora';
  const scale = adapter ? 1 : 0.1;
  const of = (value: number, bySize: Why): { value: number; why: Why[] } => ({
    value: Number((value * scale * rateShare).toPrecision(3)),
    why: [
      bySize,
      ...(adapter ? [] : [because('rate-of-weights', {})]),
      ...(rateWhy === null ? [] : [because(rateWhy, {})]),
    ],
  });
  if (parameters > BILLION) return of(2e-4, because('rate-above-billion', {}));
  if (parameters > 0.5 * BILLION) return of(5e-4, because('rate-about-billion', {}));
  if (parameters > 0.2 * BILLION) return of(1e-3, because('rate-small', {}));
  return of(2e-3, because('rate-very-small', {}));
}

/** Few rows have to be seen more often. */
function adviseEpochs(rows: number | null, { epochsMax }: MethodAdvice): { value: number; why: Why } {
  const value = Math.min(epochsFor(rows), epochsMax);
  return {
    value,
    why: rows === null ? because('epochs-later', {}) : because('epochs-by-rows', { rows, epochs: value }),
  };
}

function epochsFor(rows: number | null): number {
  if (rows === null) return 3;
  if (rows <= 100) return 6;
  if (rows <= 500) return 4;
  if (rows <= 5_000) return 3;
  return rows <= 50_000 ? 2 : 1;
}

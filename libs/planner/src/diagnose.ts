import { ERRORS } from '@luthier/contracts';
import type { ErrorCode, Hyperparameters, JobRecord, Plan } from '@luthier/contracts';
import type { PlanInput } from './plan-input.js';
import { lessMemory } from './smaller-runs.js';

export type Diagnosis = NonNullable<JobRecord['error']>;

export interface Fault {
  code: ErrorCode;
  message?: string | undefined;
  hint?: string | undefined;
  /** Last complete optimiser step. */
  step?: number | undefined;
}

/** What of a job a diagnosis looks at. */
export interface DiagnosedJob {
  hyperparameters: Hyperparameters;
  plan: Plan | null;
  /** The run that failed, as it was planned; null where there was none. */
  run: PlanInput | null;
}

type Change = Diagnosis['change'];
type Rule = (job: DiagnosedJob, fault: Fault) => { hint?: string; change?: Change };

const nothing: Rule = () => ({});

const outOfMemory: Rule = ({ run }) => {
  if (!run) return {};
  const { wasMib, advice, automatic } = lessMemory(run);
  const was = `The run was expected to need about ${wasMib} MiB.`;
  const [best] = advice;
  // Only auto_fix can ask a runtime to spend time in place of memory.
  const itself =
    automatic && (!best || Object.keys(automatic.change).length === 0)
      ? ` With auto_fix it is tried again in about ${automatic.totalMib} MiB: ${automatic.title.toLowerCase()}.`
      : '';
  if (best) return { hint: `${was} ${best.title}: about ${best.totalMib} MiB.${itself}`, change: best.change };
  if (itself !== '') return { hint: `${was}${itself}` };
  return { hint: `${was} No smaller settings lower that enough: take a smaller model or a larger machine.` };
};

const diverged: Rule = ({ hyperparameters }, { step }) => {
  const rate = Number((hyperparameters.learningRate / 3).toPrecision(2));
  return {
    hint: `Try a learning rate of ${rate}${step === undefined ? '' : `, and look at the rows around step ${step + 1}`}.`,
    change: { 'hyperparameters.learning_rate': rate },
  };
};

const doesNotFit: Rule = ({ plan }) => {
  const best = plan?.alternatives[0];
  return best ? { hint: `${best.title} would need about ${best.totalMib} MiB.`, change: best.change } : {};
};

/** One rule for each code there is; a new code does not compile until it has one. */
const RULES: Readonly<Record<ErrorCode, Rule>> = {
  'device.out-of-memory': outOfMemory,
  'host.out-of-memory': outOfMemory,
  'training.diverged': diverged,
  'plan.does-not-fit': doesNotFit,
  'request.invalid': nothing,
  'request.unsupported': nothing,
  'request.too-large': nothing,
  'request.timeout': nothing,
  'request.rate-limited': nothing,
  'auth.missing': nothing,
  'auth.wrong-key': nothing,
  'auth.foreign-origin': nothing,
  'route.not-found': nothing,
  'file.not-found': nothing,
  'file.in-use': nothing,
  'file.unusable': nothing,
  'file.wrong-rows': nothing,
  'dataset.not-found': nothing,
  'dataset.not-ready': nothing,
  'dataset.no-trained-tokens': nothing,
  'model.not-found': nothing,
  'model.not-ready': nothing,
  'model.in-use': nothing,
  'model.import-failed': nothing,
  'model.unreadable': nothing,
  'model.unsupported': nothing,
  'model.export-drifted': nothing,
  'job.not-found': nothing,
  'job.not-cancellable': nothing,
  'job.not-pausable': nothing,
  'job.not-restartable': nothing,
  'run.not-found': nothing,
  'run.fenced': nothing,
  'run.not-attached': nothing,
  'run.deadline-exceeded': nothing,
  'storage.not-found': nothing,
  'evaluation.not-found': nothing,
  'data.bad': nothing,
  'config.bad': nothing,
  'disk.full': nothing,
  'storage.unreachable': nothing,
  'collective.failed': nothing,
  'runtime.killed': nothing,
  'runtime.crashed': nothing,
  'runtime.interrupted': nothing,
  'run.stalled': nothing,
  'run.deleted-externally': nothing,
  'cluster.no-capacity': nothing,
  'cluster.too-small': nothing,
  'cluster.quota-exceeded': nothing,
  'cluster.refused': nothing,
  'cluster.name-taken': nothing,
  'cluster.namespace-terminating': nothing,
  'cluster.image-unavailable': nothing,
  'cluster.config-missing': nothing,
  'cluster.queue-rejected': nothing,
  'cluster.preempted': nothing,
  'cluster.evicted': nothing,
  'cluster.node-pressure': nothing,
  'cluster.node-lost': nothing,
  'cluster.node-refused': nothing,
  'cluster.gpu-fault': nothing,
  'cluster.unreachable': nothing,
  'cluster.forbidden': nothing,
  'service.unavailable': nothing,
  internal: nothing,
};

/** Why a job failed, what to do, and a changed configuration to try where there is one. Pure. */
export function diagnose(fault: Fault, job: DiagnosedJob): Diagnosis {
  const { hint, change } = RULES[fault.code](job, fault);
  const standing = ERRORS[fault.code];
  return {
    code: fault.code,
    message: fault.message !== undefined && fault.message !== '' ? fault.message : standing.title,
    hint: hint ?? (fault.hint !== undefined && fault.hint !== '' ? fault.hint : standing.hint),
    change: change ?? {},
  };
}

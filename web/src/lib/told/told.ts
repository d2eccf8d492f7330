import { thingOf } from './amount-told';
import type { Evaluation, Job, JobEvent, Plan } from '../api/jobs';
import { first, n } from './sentences';
import type { Rule } from './sentences';

/** A text of the namespace `told` with its values; amounts of memory are in MiB and named in `mib`. */
export interface Told {
  key: string;
  values?: Readonly<Record<string, string | number>>;
  mib?: Readonly<Record<string, number>>;
  /** Values that are times (ISO 8601), and values that are texts of `told` themselves. */
  times?: Readonly<Record<string, string>>;
  parts?: Readonly<Record<string, Told>>;
}

const again = (way: string, change: string): Rule => [
  new RegExp(`^The run ran out of memory; trying again: ${change}, about (\\d+) MiB$`),
  (match) => ({
    key: `event.again.${way}`,
    ...(match.length > 2 && { values: { count: n(match[1]) } }),
    mib: { total: n(match.at(-1)) },
  }),
];

/** A run that is made once more: these sentences are a job's events and its message. */
const AGAIN: readonly Rule[] = [
  [
    /ttempt (\d+) goes on from (?:the start|step (\d+))\.?$/,
    ([, attempt, step]) => ({ key: 'event.retry', values: { attempt: n(attempt), step: n(step) } }),
  ],
  again('recompute', 'activations computed layer by layer'),
  again('batch', 'batch of (\\d+)'),
  again('rows', 'rows cut at (\\d+) tokens'),
  again('rank', 'rank (\\d+)'),
  again('several', '.+'),
];

/** The platform's own English sentences of events, since an event has no other field that says what happened. */
const EVENTS: readonly Rule[] = [
  [/^Created fine-tuning job/, () => ({ key: 'event.created' })],
  [/^Validating training file/, () => ({ key: 'event.validating' })],
  [
    /^Validated \S+: (\d+) usable rows, (\d+) errors, (\d+) warnings$/,
    ([, usable, errors, warnings]) => ({
      key: 'event.validated',
      values: { usable: n(usable), errors: n(errors), warnings: n(warnings) },
    }),
  ],
  [
    /^Prepared (\d+) training rows with (\d+) tokens, (\d+) of them trained$/,
    ([, rows, tokens, trained]) => ({
      key: 'event.prepared',
      values: { rows: n(rows), tokens: n(tokens), trained: n(trained) },
    }),
  ],
  [
    /^The run needs about (\d+) of (\d+) MiB\.$/,
    ([, total, available]) => ({ key: 'event.fits', mib: { total: n(total), available: n(available) } }),
  ],
  [
    /^The run needs about (\d+) MiB; (\d+) MiB are free right now/,
    ([, total, free]) => ({ key: 'event.planWaits', mib: { total: n(total), free: n(free) } }),
  ],
  [
    /^Rehearsal of the fine-tuning job started on (.+)$/,
    ([, device = '']) => ({ key: 'event.rehearsalPlaced', values: { device } }),
  ],
  [
    /^The rehearsal took (\d+) MiB and ([\d.]+) s a step$/,
    ([, memory, seconds = '']) => ({ key: 'event.rehearsed', values: { seconds }, mib: { memory: n(memory) } }),
  ],
  [/^Fine-tuning job started on (.+)$/, ([, device = '']) => ({ key: 'event.placed', values: { device } })],
  [/^Training started on (.+)$/, ([, device = '']) => ({ key: 'event.started', values: { device } })],
  [
    /^Training goes on from step (\d+) on (.+)$/,
    ([, step, device = '']) => ({ key: 'event.resumedAt', values: { step: n(step), device } }),
  ],
  [
    /^Step (\d+)\/(\d+): training loss=([\d.]+)$/,
    ([, step, total, loss = '']) => ({ key: 'event.step', values: { step: n(step), total: n(total), loss } }),
  ],
  [
    /^Step (\d+): validation loss=([\d.]+)$/,
    ([, step, loss = '']) => ({ key: 'event.heldOut', values: { step: n(step), loss } }),
  ],
  [
    /^Ended at step (\d+) of (\d+), after .+; the model of step (\d+) is kept, .+ \((-?[\d.]+)\)\.$/,
    ([, step, total, best, loss = '']) => ({
      key: 'event.endedEarly',
      values: { step: n(step), total: n(total), best: n(best), loss },
    }),
  ],
  [
    /^Ended at step (\d+) of (\d+), after .+; the last model is kept/,
    ([, step, total]) => ({ key: 'event.endedUnmeasured', values: { step: n(step), total: n(total) } }),
  ],
  [
    /^All (\d+) steps were made; the model of step (\d+) is kept, .+ \((-?[\d.]+)\)\.$/,
    ([, total, best, loss = '']) => ({ key: 'event.bestKept', values: { total: n(total), best: n(best), loss } }),
  ],
  [/^New fine-tuned model created: (.+)$/, ([, model = '']) => ({ key: 'event.model', values: { model } })],
  [/^The job has successfully completed/, () => ({ key: 'event.completed' })],
  [/^The job has succeeded, but the model is unproven: The job has no held-out/, () => ({ key: 'event.noHeldOut' })],
  [/^The job has succeeded, but the model is unproven: A reward model/, () => ({ key: 'event.rewardModel' })],
  [/^The job has succeeded, but the model is unproven: Prompts hold/, () => ({ key: 'event.promptsOnly' })],
  [
    /^The job has succeeded, but the model is unproven: (.+)$/,
    ([, reason = '']) => ({ key: 'event.unproven', values: { reason } }),
  ],
  [/^The job is paused$/, () => ({ key: 'event.paused' })],
  [/^The job is resumed$/, () => ({ key: 'event.resumed' })],
  [
    /^Restarting elsewhere: attempt (\d+) on (.+) is being ended$/,
    ([, attempt, nodes = '']) => ({ key: 'event.restartingElsewhere', values: { attempt: n(attempt), nodes } }),
  ],
  [/^Restarting: attempt (\d+)/, ([, attempt]) => ({ key: 'event.restarting', values: { attempt: n(attempt) } })],
  [/^Cancelling the job$/, () => ({ key: 'event.cancelling' })],
  [/^The job has been cancelled$/, () => ({ key: 'event.cancelled' })],
  ...AGAIN,
];

/** Null: what is said is not known here, and the platform's sentence stands. */
export const eventTold = (message: string): Told | null => first(EVENTS, message);

/** What the cluster says of a run, as it stands in an event's `data`. */
export interface ClusterWord {
  /** Kind and reason, where there is a sentence for them. */
  what: string | null;
  reason: string;
  node: string | null;
  object: { kind: string; name: string };
  count: number;
  excerpt: string | null;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const word = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

/** Null: the event does not come from the cluster. */
export function clusterWord(data: JobEvent['data']): ClusterWord | null {
  if (data?.['source'] !== 'kubernetes' || !isRecord(data['object'])) return null;
  const { what, reason, node, object, count, excerpt } = data;
  return {
    ...{ what: word(what), reason: word(reason) ?? '', node: word(node), excerpt: word(excerpt) },
    object: { kind: word(object['kind']) ?? '', name: word(object['name']) ?? '' },
    count: typeof count === 'number' ? count : 1,
  };
}

export const clusterTold = ({ what, reason, node }: ClusterWord): Told =>
  what === null
    ? { key: 'cluster.other', values: { reason } }
    : { key: `cluster.${what}`, values: { node: node ?? 'none' } };

/** Why a model is unproven without an evaluation. Null: the platform's sentence stands. */
export const proofTold = (reason: string): Told | null =>
  first(
    [
      [/^The job has no held-out rows/, () => ({ key: 'verdict.noHeldOut' })],
      [/^A reward model gives points/, () => ({ key: 'verdict.rewardModel' })],
      [/^Prompts hold no answers/, () => ({ key: 'verdict.promptsOnly' })],
    ],
    reason,
  );

/** Why a queued job waits, and what a running one was asked: these stand in the sentence alone. */
const REASONS: readonly Rule[] = [
  [
    /^(One|\d+) jobs? waits? before this one/,
    ([, count]) => ({ key: 'job.waitsBehind', values: { count: count === 'One' ? 1 : n(count) } }),
  ],
  [
    /^Waiting for a free place on "(.+)": (\d+) of (\d+) in use/,
    ([, device = '', used, slots]) => ({
      key: 'job.waitsForPlace',
      values: { device, used: n(used), slots: n(slots) },
    }),
  ],
  [
    /^Waiting for memory on "(.+)": the run needs about (\d+) MiB, (\d+) MiB are free/,
    ([, device = '', needed, free]) => ({
      key: 'job.waitsForMemory',
      values: { device },
      mib: { needed: n(needed), free: n(free) },
    }),
  ],
  [
    /^Waiting for GPUs: needs (\d+), (\d+) free now/,
    ([, needed, free]) => ({ key: 'job.waitsForGpus', values: { needed: n(needed), free: n(free) } }),
  ],
  [/^The rehearsal has succeeded; waiting/, () => ({ key: 'job.waitsRehearsed' })],
  [/^Cancelling$/, () => ({ key: 'job.cancelling' })],
  [/^Pausing$/, () => ({ key: 'job.pausing' })],
  [/^Restarting$/, () => ({ key: 'job.restarting' })],
  ...AGAIN,
];

type Placement = NonNullable<Job['placement']>;

/** Every value that a sentence of a reason may name; those that are not known are `none`. */
export const RUN_VALUES = [
  ...['needed', 'free', 'used', 'limit', 'largest', 'nodes', 'placed', 'position', 'step', 'minutes'],
  ...['resource', 'node', 'queue', 'quota', 'image', 'cause', 'name', 'xid', 'since', 'queues'],
] as const;
const CAUSES = [
  'badName',
  'notAllowed',
  'notFound',
  'rateLimited',
  'unreachable',
  'diskFull',
  'badCredentials',
  'noQueueing',
];

/** Why a run waits or ended, in its reason's sentence. */
export function runTold({ reason, params }: Pick<Placement, 'reason' | 'params'>): Told {
  const { seconds, resource, cause, since, ...rest } = params;
  const minutes = seconds === undefined ? {} : { minutes: Math.max(1, Math.round(Number(seconds) / 60)) };
  const thing = resource === undefined ? undefined : thingOf(String(resource));
  return {
    key: `run.${reason}`,
    values: {
      ...Object.fromEntries(RUN_VALUES.map((name) => [name, 'none'])),
      ...rest,
      ...minutes,
      ...(thing?.name !== undefined && { resource: thing.name }),
      ...(cause !== undefined && { cause }),
    },
    ...(since !== undefined && { times: { since: String(since) } }),
    parts: {
      ...(thing?.word !== undefined && { resource: { key: thing.word } }),
      ...(CAUSES.includes(String(cause)) && { cause: { key: `cause.${String(cause)}` } }),
    },
  };
}

type JobState = Pick<Job, 'status' | 'phase' | 'message' | 'progress' | 'placement' | 'rehearsal'>;

/** Where a job is, from its status, phase and progress. A failed one is told by its error. */
export function jobTold({ status, phase, message, progress, placement, rehearsal }: JobState): Told {
  if (status === 'succeeded') {
    return { key: message.includes('unproven') ? 'job.succeededUnproven' : 'job.succeeded' };
  }
  if (status === 'failed' || status === 'cancelled' || status === 'paused') return { key: `job.${status}` };
  const reason = first(REASONS, message);
  if (reason) return reason;
  if (rehearsal?.state === 'running' && phase === 'starting') return { key: 'job.rehearsing' };
  if (placement && status === 'running' && (phase === 'scheduling' || phase === 'starting')) return runTold(placement);
  if (status === 'queued' || phase === 'queued') return { key: 'job.waiting' };
  if (phase === 'training' && progress) {
    return { key: 'job.trainingStep', values: { step: progress.step, total: progress.total_steps } };
  }
  return { key: `job.${phase}` };
}

export const planTold = ({ verdict, total_mib: total, available_mib: available }: Plan): Told => ({
  key: `plan.${verdict}`,
  mib: { total, available },
});

const GENERAL_KEPT_MIN = 0.7;

/** The verdict in sentences, from the counts; empty where the evaluation has none yet or could not be made. */
export function verdictTold(evaluation: Evaluation): Told[] {
  const { suites, verdict, verdict_reason: reason } = evaluation;
  if (verdict === 'unproven') return [];
  const judged = Object.entries(suites).filter(([suite]) => suite !== 'general');
  const sum = (of: (suite: Evaluation['suites'][string]) => number): number =>
    judged.reduce((total, [, suite]) => total + of(suite), 0);
  const total = sum(({ tuned }) => tuned.total);
  const left = /Not answered and not counted: (\d+) of (\d+) rows/.exec(reason ?? '');
  const notAnswered = left
    ? [{ key: 'verdict.notAnswered', values: { count: Number(left[1]), total: Number(left[2]) } }]
    : [];
  if (total === 0) return [{ key: 'verdict.nothingCounted' }, ...notAnswered];
  const { general } = suites;
  const p = /\(p ([<=] [\d.]+)\)/.exec(reason ?? '')?.[1] ?? 'none';
  const right = { tuned: sum(({ tuned }) => tuned.right), base: sum(({ base }) => base.right) };
  const forgot = general !== undefined && general.tuned.right < GENERAL_KEPT_MIN * general.base.right;
  return [
    { key: 'verdict.counts', values: { ...right, total, p } },
    ...(general && general.base.total > 0
      ? [
          {
            key: 'verdict.general',
            values: { tuned: general.tuned.right, base: general.base.right, total: general.base.total },
          },
        ]
      : []),
    ...(verdict !== 'not-shown'
      ? []
      : [{ key: forgot && !(reason ?? '').includes('chance') ? 'verdict.forgotten' : 'verdict.chance' }]),
    ...notAnswered,
  ];
}

/** The line that a repeated row names. */
export const repeatedLine = (message: string): number | null => {
  const line = /\b(?:line|row) (\d+)\.?$/.exec(message)?.[1];
  return line === undefined ? null : Number(line);
};

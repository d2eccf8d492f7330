import type { Schemas } from '@luthier/api-client';
import { busy, tooLarge } from '../fixtures/cluster.js';
import { pairsJob, rewardedJob } from '../fixtures/comparison.js';
import { evaluation } from '../fixtures/evaluation.js';
import { DONE_JOB } from '../fixtures/ids.js';
import { RUN_LOG, doneCheckpoints, doneEvents } from '../fixtures/job-history.js';
import { baseJob, failedJob, memoryJob } from '../fixtures/jobs.js';
import { plan } from '../fixtures/plans.js';
import { waitingJobs } from '../fixtures/waiting-jobs.js';
import { LiveJob } from '../live-job.js';
import { Refusal, found, notFound, page, pageOf } from './call.js';
import type { Handler, State } from './call.js';
import { follow, replay, writeLog } from './job-streams.js';

const records = (state: State): Schemas['Job'][] =>
  state.empty
    ? []
    : [
        ...[...state.jobs.values()].map((job) => job.record).reverse(),
        ...waitingJobs,
        ...[rewardedJob, pairsJob, baseJob, failedJob, memoryJob],
      ];
const jobOf = (state: State, jobId = ''): Schemas['Job'] =>
  found(
    records(state).find((job) => job.id === jobId),
    'job',
  );

function check({ checkJob }: State, body: string): void {
  const refusal = checkJob(JSON.parse(body));
  if (refusal) throw refusal;
}

const PLANNED = (body: string, state: State): Schemas['Plan'] => {
  check(state, body);
  if (state.full) return { ...plan(true), verdict: 'waits', ...busy };
  const wanted = JSON.parse(body) as { method?: { supervised?: { hyperparameters?: { batch_size?: number } } } };
  return plan((wanted.method?.supervised?.hyperparameters?.batch_size ?? 8) <= 64);
};

export const JOB_HANDLERS: Record<string, Handler> = {
  'GET /api/v1/jobs': ({ state }) => page(records(state)),
  'GET /api/v1/jobs/*': ({ state, parts }) => jobOf(state, parts[3]),
  'GET /api/v1/jobs/*/evaluation': ({ parts }) => {
    if (parts[3] !== DONE_JOB) throw notFound('evaluation');
    return evaluation;
  },
  'GET /api/v1/jobs/*/stream': ({ state, parts, request, url, response }) => {
    const job = state.jobs.get(parts[3] ?? '');
    const last = request.headers['last-event-id'] ?? url.searchParams.get('last_event_id') ?? '0';
    if (job) follow(state, job, Number(last), response);
    else replay(response, parts[3] ?? '');
    return undefined;
  },
  'POST /v1/fine_tuning/jobs': ({ state, body }) => {
    check(state, body);
    const { message, obstacle } = tooLarge;
    if (state.full) throw new Refusal(400, 'plan.does-not-fit', message, 'Ask for what would fit.', { obstacle });
    const wanted = JSON.parse(body) as { suffix?: string };
    const job = new LiveJob(`new${state.jobs.size}`, 4_000, 200, { suffix: wanted.suffix ?? null });
    state.jobs.set(job.record.id, job);
    return { id: job.record.id };
  },
  'POST /v1/fine_tuning/jobs/*/cancel': ({ state, parts }) => {
    found(state.jobs.get(parts[3] ?? ''), 'job').cancel();
    return {};
  },
  'POST /v1/fine_tuning/jobs/*/pause': ({ state, parts }) => {
    found(state.jobs.get(parts[3] ?? ''), 'job').pause();
    return {};
  },
  'POST /v1/fine_tuning/jobs/*/resume': ({ state, parts }) => {
    found(state.jobs.get(parts[3] ?? ''), 'job').resume();
    return {};
  },
  'POST /v1/fine_tuning/jobs/*/restart': ({ state, parts }) => {
    found(state.jobs.get(parts[3] ?? ''), 'job').restart();
    return {};
  },
  'GET /v1/fine_tuning/jobs/*/events': ({ parts, url }) => pageOf(parts[3] === DONE_JOB ? doneEvents : [], url),
  'GET /v1/fine_tuning/jobs/*/checkpoints': ({ parts, url }) =>
    pageOf(parts[3] === DONE_JOB ? doneCheckpoints : [], url),
  'GET /api/v1/jobs/*/log': ({ state, parts }) => {
    jobOf(state, parts[3]);
    return { text: RUN_LOG, truncated: true };
  },
  'GET /api/v1/jobs/*/log/stream': ({ state, parts, request, response }) => {
    const job = jobOf(state, parts[3]);
    const last = Number(request.headers['last-event-id'] ?? 0);
    writeLog(state, response, last, state.jobs.has(job.id));
    return undefined;
  },
  'POST /api/v1/plan': ({ body, state }) => PLANNED(body, state),
};

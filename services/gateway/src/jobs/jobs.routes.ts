import { z } from 'zod';
import {
  evaluationRecord,
  httpCreateJob,
  jobRecord,
  listJobMetrics,
  logCursor,
  page,
  pageQuery,
  plan,
  readRunLog,
  restartJob,
} from '@luthier/contracts';
import { checkpointObject, jobEventObject, jobObject, listOf } from '../http/openai-schemas.js';
import { defineRoute } from '../http/route.js';

const byJob = z.object({ job_id: z.string() });
const openaiPage = (limit: number) =>
  z.object({ after: z.string().optional(), limit: z.int().min(1).max(1000).default(limit) });
const job = { status: 200, description: 'The job', schema: jobObject } as const;

export const createJobRoute = defineRoute({
  id: 'createFineTuningJob',
  method: 'POST',
  path: '/v1/fine_tuning/jobs',
  tag: 'Fine-tuning',
  summary: 'Create a fine-tuning job',
  description:
    'Beside the fields of OpenAI: `tuning`, `mix`, `general_file`, `cutoff_length`, `auto_fix`, `resources`, `queue`, `priority`.',
  body: httpCreateJob,
  answer: job,
  errors: ['model.not-found', 'file.not-found', 'request.unsupported'],
});
export const listJobsRoute = defineRoute({
  id: 'listFineTuningJobs',
  method: 'GET',
  path: '/v1/fine_tuning/jobs',
  tag: 'Fine-tuning',
  summary: 'List fine-tuning jobs, newest first',
  query: openaiPage(20).extend({
    metadata: z
      .union([z.enum(['null', '']), z.record(z.string(), z.string())])
      .optional()
      .describe('`metadata[key]=value`, or `metadata=null` (or empty, as the SDK sends it) for jobs without any'),
  }),
  answer: { status: 200, description: 'A page of jobs', schema: listOf(jobObject) },
});
export const getJobRoute = defineRoute({
  id: 'getFineTuningJob',
  method: 'GET',
  path: '/v1/fine_tuning/jobs/{job_id}',
  tag: 'Fine-tuning',
  summary: 'Read a fine-tuning job',
  params: byJob,
  answer: job,
  errors: ['job.not-found'],
});

const jobAction = <Name extends 'cancel' | 'pause' | 'resume'>(
  name: Name,
  summary: string,
  error: 'job.not-cancellable' | 'job.not-pausable',
) =>
  defineRoute({
    id: `${name}FineTuningJob`,
    method: 'POST',
    path: `/v1/fine_tuning/jobs/{job_id}/${name}`,
    tag: 'Fine-tuning',
    summary,
    params: byJob,
    answer: job,
    errors: ['job.not-found', error],
  });
export const cancelJobRoute = jobAction('cancel', 'Cancel a job; a checkpoint is kept', 'job.not-cancellable');
export const pauseJobRoute = jobAction('pause', 'Pause a queued or running job', 'job.not-pausable');
export const resumeJobRoute = jobAction('resume', 'Resume a paused job', 'job.not-pausable');

export const restartJobRoute = defineRoute({
  id: 'restartFineTuningJob',
  method: 'POST',
  path: '/v1/fine_tuning/jobs/{job_id}/restart',
  tag: 'Fine-tuning',
  summary: 'End the attempt of a job; the next one goes on from its newest checkpoint',
  description:
    'Keeps away from the nodes of that attempt, unless `avoid_node` is false. With `attempt`, asking again changes nothing once that attempt is being ended.',
  params: byJob,
  body: z.strictObject(restartJob.request.omit({ jobId: true }).shape).prefault({}),
  answer: job,
  errors: ['job.not-found', 'job.not-restartable'],
});

export const listJobEventsRoute = defineRoute({
  id: 'listFineTuningEvents',
  method: 'GET',
  path: '/v1/fine_tuning/jobs/{job_id}/events',
  tag: 'Fine-tuning',
  summary: 'List the events of a job, newest first',
  params: byJob,
  query: openaiPage(20),
  answer: { status: 200, description: 'A page of events', schema: listOf(jobEventObject) },
  errors: ['job.not-found'],
});
export const listCheckpointsRoute = defineRoute({
  id: 'listFineTuningCheckpoints',
  method: 'GET',
  path: '/v1/fine_tuning/jobs/{job_id}/checkpoints',
  tag: 'Fine-tuning',
  summary: 'List the checkpoints of a job, newest first',
  params: byJob,
  query: openaiPage(10),
  answer: { status: 200, description: 'A page of checkpoints', schema: listOf(checkpointObject) },
  errors: ['job.not-found'],
});

export const planRoute = defineRoute({
  id: 'planJob',
  method: 'POST',
  path: '/api/v1/plan',
  tag: 'Jobs',
  summary: 'Memory, steps and time of a job, before it is submitted',
  body: httpCreateJob,
  answer: { status: 200, description: 'The plan', schema: plan },
  errors: ['model.not-found', 'model.not-ready', 'file.not-found', 'request.unsupported'],
});
export const listJobRecordsRoute = defineRoute({
  id: 'listJobs',
  method: 'GET',
  path: '/api/v1/jobs',
  tag: 'Jobs',
  summary: 'List jobs with their whole records',
  query: pageQuery,
  answer: { status: 200, description: 'A page of jobs', schema: page(jobRecord) },
});
export const getJobRecordRoute = defineRoute({
  id: 'getJob',
  method: 'GET',
  path: '/api/v1/jobs/{job_id}',
  tag: 'Jobs',
  summary: 'Read the whole record of a job',
  params: byJob,
  answer: { status: 200, description: 'The job', schema: jobRecord },
  errors: ['job.not-found'],
});
export const getJobMetricsRoute = defineRoute({
  id: 'listJobMetrics',
  method: 'GET',
  path: '/api/v1/jobs/{job_id}/metrics',
  tag: 'Jobs',
  summary: 'The curve of a job: points by rising step',
  params: byJob,
  query: z.object({
    names: z.array(z.string()).max(20).optional().describe('Repeat the parameter for several; default all'),
    afterStep: z.int().default(-1),
    limit: z.int().min(1).max(5000).default(1000),
  }),
  answer: { status: 200, description: 'Points', schema: listJobMetrics.response },
  errors: ['job.not-found'],
});
export const streamJobRoute = defineRoute({
  id: 'streamJob',
  method: 'GET',
  path: '/api/v1/jobs/{job_id}/stream',
  tag: 'Jobs',
  summary: 'Follow a job live (server-sent events)',
  description:
    'Events `job`, `event`, `metrics`, `checkpoint` with the id of training; `Last-Event-ID` (or `last_event_id`) replays what came after it and follows without gap or double. A comment every 15 s. `event: end` is the last one.',
  params: byJob,
  query: z.object({ lastEventId: z.int().nonnegative().optional() }),
  answer: { status: 200, description: 'Server-sent events', contentType: 'text/event-stream' },
  errors: ['job.not-found', 'request.rate-limited'],
});
const logQuery = readRunLog.request.omit({ runId: true, after: true });
export const getJobLogRoute = defineRoute({
  id: 'getJobLog',
  method: 'GET',
  path: '/api/v1/jobs/{job_id}/log',
  tag: 'Jobs',
  summary: 'The end of the log of the run of a job',
  params: byJob,
  query: logQuery,
  answer: {
    status: 200,
    description: 'Text; empty before a run has begun',
    schema: readRunLog.response.omit({ cursor: true }),
  },
  errors: ['job.not-found', 'run.not-found'],
});
export const streamJobLogRoute = defineRoute({
  id: 'streamJobLog',
  method: 'GET',
  path: '/api/v1/jobs/{job_id}/log/stream',
  tag: 'Jobs',
  summary: 'Follow the log of the run of a job (server-sent events)',
  description:
    'Begins with the end of the log, then sends what is written, over all attempts: events `log` with `text` and `truncated` (something before it could not be read). `Last-Event-ID` (or `after`) goes on from there without gap or double. A comment every 15 s. `event: end` is the last one.',
  params: byJob,
  query: logQuery.extend({ after: logCursor.optional() }),
  answer: { status: 200, description: 'Server-sent events', contentType: 'text/event-stream' },
  errors: ['job.not-found', 'request.rate-limited'],
});
export const getJobEvaluationRoute = defineRoute({
  id: 'getJobEvaluation',
  method: 'GET',
  path: '/api/v1/jobs/{job_id}/evaluation',
  tag: 'Jobs',
  summary: 'How the tuned model of a job compares with its base',
  params: byJob,
  answer: { status: 200, description: 'The evaluation', schema: evaluationRecord },
  errors: ['evaluation.not-found'],
});

export const JOB_ROUTES = [
  createJobRoute,
  listJobsRoute,
  getJobRoute,
  cancelJobRoute,
  pauseJobRoute,
  resumeJobRoute,
  restartJobRoute,
  listJobEventsRoute,
  listCheckpointsRoute,
  planRoute,
  listJobRecordsRoute,
  getJobRecordRoute,
  getJobMetricsRoute,
  streamJobRoute,
  getJobLogRoute,
  streamJobLogRoute,
  getJobEvaluationRoute,
] as const;

import {
  cancelJob,
  createJob,
  getEvaluation,
  getJob,
  listJobCheckpoints,
  listJobEvents,
  listJobMetrics,
  listJobs,
  newId,
  pauseJob,
  planJob,
  readRunLog,
  restartJob,
  resumeJob,
} from '@luthier/contracts';
import type { MessageBus } from '@luthier/messaging';
import { toList } from '../http/openai-list.js';
import { bindRoute } from '../http/route.js';
import type { RouteBinding } from '../http/route.js';
import type { JobStreams } from '../live/job-streams.js';
import type { LogStreams } from '../live/log-streams.js';
import { presentCheckpoint, presentJob, presentJobEvent } from './job-presenter.js';
import { inPublicNames, toJobRequest } from './job-request.js';
import * as routes from './jobs.routes.js';

const cursor = ({ after, limit }: { after?: string | undefined; limit: number }) => ({
  limit,
  ...(after !== undefined && { after }),
});

/** The fine-tuning routes of OpenAI's contract. */
export function fineTuningBindings(bus: MessageBus): RouteBinding[] {
  const actions = [
    [routes.cancelJobRoute, cancelJob],
    [routes.pauseJobRoute, pauseJob],
    [routes.resumeJobRoute, resumeJob],
  ] as const;
  return [
    bindRoute(routes.createJobRoute, async ({ body, requestId }) => {
      const payload = { ...toJobRequest(body), jobId: newId('job') };
      const job = await bus.request(createJob, payload, { requestId }).catch(rethrowInPublicNames);
      return presentJob(job);
    }),
    bindRoute(routes.listJobsRoute, async ({ query, requestId }) => {
      const { metadata } = query;
      const filter = metadata === undefined ? {} : { metadata: typeof metadata === 'string' ? null : metadata };
      const page = await bus.request(listJobs, { ...cursor(query), ...filter }, { requestId });
      return toList(page, (job) => presentJob(job));
    }),
    bindRoute(routes.getJobRoute, async ({ params, requestId }) =>
      presentJob(await bus.request(getJob, { jobId: params.job_id }, { requestId })),
    ),
    ...actions.map(([route, definition]) =>
      bindRoute(route, async ({ params, requestId }) =>
        presentJob(await bus.request(definition, { jobId: params.job_id }, { requestId })),
      ),
    ),
    bindRoute(routes.restartJobRoute, async ({ params, body, requestId }) =>
      presentJob(await bus.request(restartJob, { jobId: params.job_id, ...body }, { requestId })),
    ),
    bindRoute(routes.listJobEventsRoute, async ({ params, query, requestId }) => {
      const page = await bus.request(listJobEvents, { jobId: params.job_id, ...cursor(query) }, { requestId });
      return toList(page, presentJobEvent);
    }),
    bindRoute(routes.listCheckpointsRoute, async ({ params, query, requestId }) => {
      const jobId = params.job_id;
      const job = await bus.request(getJob, { jobId }, { requestId });
      const page = await bus.request(listJobCheckpoints, { jobId, ...cursor(query) }, { requestId });
      return toList(page, (checkpoint) => presentCheckpoint(checkpoint, job));
    }),
  ];
}

/** The platform's own routes about jobs. */
export function jobBindings(bus: MessageBus, streams: JobStreams, logs: LogStreams): RouteBinding[] {
  return [
    bindRoute(routes.planRoute, ({ body, requestId }) =>
      bus.request(planJob, toJobRequest(body), { requestId }).catch(rethrowInPublicNames),
    ),
    bindRoute(routes.listJobRecordsRoute, ({ query, requestId }) => bus.request(listJobs, query, { requestId })),
    bindRoute(routes.getJobRecordRoute, ({ params, requestId }) =>
      bus.request(getJob, { jobId: params.job_id }, { requestId }),
    ),
    bindRoute(routes.getJobMetricsRoute, ({ params, query, requestId }) =>
      bus.request(listJobMetrics, { jobId: params.job_id, ...query }, { requestId }),
    ),
    bindRoute(routes.streamJobRoute, ({ params, query, request, reply }) =>
      streams.follow(params.job_id, query.lastEventId, request, reply),
    ),
    bindRoute(routes.getJobLogRoute, async ({ params, query, requestId }) => {
      const { runId } = await bus.request(getJob, { jobId: params.job_id }, { requestId });
      if (runId === null) return { text: '', truncated: false };
      return bus.request(readRunLog, { runId, ...query }, { requestId });
    }),
    bindRoute(routes.streamJobLogRoute, ({ params, query, request, reply }) =>
      logs.follow({ jobId: params.job_id, ...query }, request, reply),
    ),
    bindRoute(routes.getJobEvaluationRoute, ({ params, requestId }) =>
      bus.request(getEvaluation, { jobId: params.job_id }, { requestId }),
    ),
  ];
}

function rethrowInPublicNames(thrown: unknown): never {
  throw inPublicNames(thrown);
}

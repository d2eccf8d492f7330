import { Controller } from '@nestjs/common';
import {
  FILE_USERS_MAX,
  cancelJob,
  createJob,
  getJob,
  isTerminalJobStatus,
  listFileUsers,
  listJobCheckpoints,
  listJobEvents,
  listJobMetrics,
  listJobs,
  pauseJob,
  planJob,
  readJobStream,
  restartJob,
  resumeJob,
} from '@luthier/contracts';
import type { RequestDefinition } from '@luthier/contracts';
import { OnRequest } from '@luthier/messaging';
import type { z } from 'zod';
import { toRecord } from './job-record.js';
import { JobOrders } from './job-orders.js';
import { JobStore } from './job.store.js';
import { JobsService } from './jobs.service.js';

type Asked<D> = D extends RequestDefinition<infer Req, z.ZodType> ? z.output<Req> : never;
type Answer<D> = D extends RequestDefinition<z.ZodType, infer Res> ? Promise<z.output<Res>> : never;

@Controller()
export class JobsRpc {
  constructor(
    private readonly service: JobsService,
    private readonly orders: JobOrders,
    private readonly store: JobStore,
  ) {}

  @OnRequest(createJob)
  async create(request: Asked<typeof createJob>): Answer<typeof createJob> {
    return toRecord(await this.service.create(request));
  }

  @OnRequest(getJob)
  async get({ jobId }: Asked<typeof getJob>): Answer<typeof getJob> {
    return toRecord(await this.service.get(jobId));
  }

  @OnRequest(listJobs)
  async list(query: Asked<typeof listJobs>): Answer<typeof listJobs> {
    return this.store.list(query);
  }

  @OnRequest(cancelJob)
  async cancel({ jobId }: Asked<typeof cancelJob>): Answer<typeof cancelJob> {
    return toRecord(await this.orders.cancel(jobId));
  }

  @OnRequest(pauseJob)
  async pause({ jobId }: Asked<typeof pauseJob>): Answer<typeof pauseJob> {
    return toRecord(await this.orders.pause(jobId));
  }

  @OnRequest(resumeJob)
  async resume({ jobId }: Asked<typeof resumeJob>): Answer<typeof resumeJob> {
    return toRecord(await this.orders.resume(jobId));
  }

  @OnRequest(restartJob)
  async restart({ jobId, ...order }: Asked<typeof restartJob>): Answer<typeof restartJob> {
    return toRecord(await this.orders.restart(jobId, order));
  }

  @OnRequest(listJobEvents)
  async events({ jobId, ...query }: Asked<typeof listJobEvents>): Answer<typeof listJobEvents> {
    await this.service.get(jobId);
    return this.store.listEvents(jobId, query);
  }

  @OnRequest(listJobCheckpoints)
  async checkpoints({ jobId, ...query }: Asked<typeof listJobCheckpoints>): Answer<typeof listJobCheckpoints> {
    await this.service.get(jobId);
    return this.store.listCheckpoints(jobId, query);
  }

  @OnRequest(listJobMetrics)
  async metrics({ jobId, names, afterStep, limit }: Asked<typeof listJobMetrics>): Answer<typeof listJobMetrics> {
    const { runId } = await this.service.get(jobId);
    return runId === null ? { points: [], hasMore: false } : this.store.listPoints(runId, { names, afterStep, limit });
  }

  @OnRequest(readJobStream)
  async stream({ jobId, after, limit }: Asked<typeof readJobStream>): Answer<typeof readJobStream> {
    // The status first: an entry written in between is then read, and nothing is written after the end.
    const { status } = await this.service.get(jobId);
    const entries = await this.store.readStream(jobId, after, limit);
    return { entries, ended: isTerminalJobStatus(status) && entries.length < limit };
  }

  @OnRequest(listFileUsers)
  async fileUsers({ fileId, datasetIds }: Asked<typeof listFileUsers>): Answer<typeof listFileUsers> {
    return this.store.unfinishedUsing({ fileId, datasetIds, limit: FILE_USERS_MAX });
  }

  @OnRequest(planJob)
  async plan(request: Asked<typeof planJob>): Answer<typeof planJob> {
    return this.service.plan(request);
  }
}

import {
  AppError,
  addFile,
  cancelJob,
  createJob,
  deleteFile,
  deleteModel,
  generateAnswers,
  getFile,
  getJob,
  getModel,
  listFiles,
  listJobCheckpoints,
  listJobEvents,
  listJobs,
  listModels,
  newId,
  pauseJob,
  restartJob,
  resumeJob,
} from '@luthier/contracts';
import type { FileRecord, JobRecord, ModelRecord, Page } from '@luthier/contracts';
import { jobRecordOf } from './builders.js';
import type { Responders } from './responders.js';

interface PageQuery {
  after?: string | undefined;
  limit: number;
  order: 'asc' | 'desc';
}

function pageOf<T extends { id: string }>(all: readonly T[], { after, limit, order }: PageQuery): Page<T> {
  const sorted = order === 'asc' ? [...all] : [...all].reverse();
  const from = after === undefined ? 0 : sorted.findIndex(({ id }) => id === after) + 1;
  return { items: sorted.slice(from, from + limit), hasMore: sorted.length > from + limit };
}

/** As much of the other services as the routes need; what they are asked is kept for the tests to look at. */
export class InMemoryPlatform {
  readonly files = new Map<string, FileRecord>();
  readonly jobs = new Map<string, JobRecord>();
  readonly models = new Map<string, ModelRecord>();
  readonly asked: { createJob: unknown[]; listJobs: unknown[]; restartJob: unknown[]; generate: unknown[] } = {
    createJob: [],
    listJobs: [],
    restartJob: [],
    generate: [],
  };

  serve(responders: Responders): void {
    this.serveFiles(responders);
    this.serveJobs(responders);
    this.serveModels(responders);
  }

  private serveFiles(responders: Responders): void {
    const { files } = this;
    const found = (fileId: string): FileRecord => {
      const file = files.get(fileId);
      if (!file) throw new AppError('file.not-found', `There is no file "${fileId}"`);
      return file;
    };
    responders.answer(addFile, (file) => {
      const record: FileRecord = { ...file, status: 'processed', statusDetails: null };
      files.set(file.id, record);
      return record;
    });
    responders.answer(getFile, ({ fileId }) => found(fileId));
    responders.answer(listFiles, (query) =>
      pageOf(
        [...files.values()].filter(({ purpose }) => query.purpose === undefined || purpose === query.purpose),
        query,
      ),
    );
    responders.answer(deleteFile, ({ fileId }) => {
      if (found(fileId).filename === 'in-use.jsonl') throw new AppError('file.in-use', 'A job uses the file');
      files.delete(fileId);
      return { fileId };
    });
  }

  private serveJobs(responders: Responders): void {
    const { jobs, asked } = this;
    const found = (jobId: string): JobRecord => {
      const job = jobs.get(jobId);
      if (!job) throw new AppError('job.not-found', `There is no job "${jobId}"`);
      return job;
    };
    const changed = (job: JobRecord, change: Partial<JobRecord>): JobRecord => {
      const next = { ...job, ...change };
      jobs.set(job.id, next);
      return next;
    };
    responders.answer(createJob, (request) => {
      asked.createJob.push(request);
      if (request.model === 'nobody') throw new AppError('model.not-found', 'There is no model "nobody"');
      const { trainingFile, suffix, metadata, model, method } = request;
      const wanted = { trainingFile, suffix, metadata, model, method };
      const job = jobRecordOf({ id: request.jobId, status: 'validating_files', ...wanted });
      jobs.set(job.id, job);
      return job;
    });
    responders.answer(getJob, ({ jobId }) => found(jobId));
    responders.answer(listJobs, (query) => {
      asked.listJobs.push(query);
      return pageOf([...jobs.values()], query);
    });
    responders.answer(cancelJob, ({ jobId }) => {
      const job = found(jobId);
      if (job.status === 'cancelled') throw new AppError('job.not-cancellable');
      return changed(job, { status: 'cancelled', finishedAt: '2026-01-02T04:00:00.000Z' });
    });
    responders.answer(pauseJob, ({ jobId }) => changed(found(jobId), { status: 'paused' }));
    responders.answer(resumeJob, ({ jobId }) => changed(found(jobId), { status: 'queued' }));
    responders.answer(restartJob, (order) => {
      asked.restartJob.push(order);
      return found(order.jobId);
    });
    const createdAt = '2026-01-02T03:05:00.000Z';
    responders.answer(listJobEvents, ({ jobId, ...query }) => {
      const message = { createdAt, level: 'info' as const };
      const events = [
        {
          id: newId('jobEvent'),
          ...message,
          type: 'message' as const,
          message: `Created ${found(jobId).id}`,
          data: null,
        },
        {
          id: newId('jobEvent'),
          ...message,
          type: 'metrics' as const,
          message: 'Step 1',
          data: { step: 1, loss: 2.5 },
        },
      ];
      return pageOf(events, query);
    });
    responders.answer(listJobCheckpoints, ({ jobId, ...query }) =>
      pageOf(
        [{ id: newId('checkpoint'), createdAt, jobId, step: 10, uri: 'artifact://runs/r/c', metrics: { loss: 1.5 } }],
        query,
      ),
    );
  }

  private serveModels(responders: Responders): void {
    const { models, asked } = this;
    const found = (name: string): ModelRecord => {
      const model = [...models.values()].find((each) => each.name === name || each.id === name);
      if (!model) throw new AppError('model.not-found', `There is no model "${name}"`);
      return model;
    };
    responders.answer(getModel, ({ model }) => ({ model: found(model), base: null }));
    responders.answer(listModels, (query) => pageOf([...models.values()], query));
    responders.answer(deleteModel, ({ model }) => {
      const { id } = found(model);
      models.delete(id);
      return { modelId: id };
    });
    responders.answer(generateAnswers, (request) => {
      asked.generate.push(request);
      const { id } = found(request.model);
      const answers = [{ text: 'Paris.', finishReason: 'stop' as const, promptTokens: 5, completionTokens: 2 }];
      return { modelId: id, answers };
    });
  }
}

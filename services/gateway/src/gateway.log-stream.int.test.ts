import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AppError, getJob, newId, readRunLog } from '@luthier/contracts';
import type { JobRecord } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { jobRecordOf } from './testing/builders.js';
import { startGatewayFixture } from './testing/gateway-fixture.js';
import type { GatewayFixture } from './testing/gateway-fixture.js';
import { readSse } from './testing/job-log.js';

describe('the live log of a job', () => {
  let gateway: GatewayFixture;
  let job: JobRecord;
  /** What the run has written; the cursor is how much of it was read. */
  let written: string;
  let trainerIsAway: boolean;
  const asked: { node: number; after?: string | undefined }[] = [];

  beforeAll(async () => {
    gateway = await startGatewayFixture({ maxStreams: 2 });
    gateway.responders.answer(getJob, ({ jobId }) => {
      if (jobId !== job.id) throw new AppError('job.not-found');
      return job;
    });
    gateway.responders.answer(readRunLog, ({ node, after, tailBytes }) => {
      asked.push({ node, after });
      if (trainerIsAway) throw new AppError('cluster.unreachable');
      if (written === '') throw new AppError('run.not-found');
      const from = after === undefined ? Math.max(0, written.length - tailBytes) : Number(after);
      const text = written.slice(from, from + 50);
      return { text, truncated: false, cursor: String(from + text.length) };
    });
    await gateway.responders.ready();
  });
  afterAll(() => gateway.stop());
  beforeEach(() => {
    job = jobRecordOf({ runId: newId('run'), status: 'running', phase: 'training' });
    [written, trainerIsAway] = ['', false];
  });

  afterEach(() => gateway.noLiveStream());

  const open = (init: RequestInit = {}, query = ''): Promise<Response> =>
    gateway.call(`/api/v1/jobs/${job.id}/log/stream${query}`, init);
  const end = (): void => void (job = { ...job, status: 'succeeded', phase: 'done' });

  it('sends what is there, what comes, and ends with the job after all that was written', async () => {
    const texts: string[] = [];
    const reading = (async () => {
      for await (const { type, data } of readSse(await open()))
        texts.push(type === 'log' ? (data as { text: string }).text : type);
    })();
    written = 'one\n';
    await waitFor(() => texts.length === 1);
    trainerIsAway = true;
    written += 'two\n';
    const before = asked.length;
    await waitFor(() => asked.length > before + 1);
    trainerIsAway = false;
    await waitFor(() => texts.length === 2);
    end();
    written += 'three\n';
    await reading;
    expect(texts).toEqual(['one\n', 'two\n', 'three\n', 'end']);
  });

  it('goes on after a cut from the id of the last piece, in pieces, of the node that was asked for', async () => {
    written = Array.from({ length: 40 }, (_, n) => `line ${n}\n`).join('');
    end();
    let [text, last] = ['', '0'];
    for (let cuts = 0; cuts < 3; cuts += 1) {
      const cut = new AbortController();
      const response = await open({ signal: cut.signal, headers: { 'last-event-id': last } }, '?node=3&after=7');
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      let seen = '';
      while (!/event: log\ndata: .*\n\n/.test(seen)) seen += (await reader?.read())?.value ?? '';
      cut.abort();
      const [, id = '', json = ''] = /id: (\d+)\nevent: log\ndata: (.*)\n\n/.exec(seen) ?? [];
      text += (JSON.parse(json) as { text: string }).text;
      last = id;
    }
    expect(text).toBe(written.slice(0, text.length));
    expect(text.length).toBeGreaterThan(100);
    expect(asked.at(-1)).toMatchObject({ node: 3 });
  });

  it('waits for a run that has not begun, and refuses what is no job or no cursor, and too many', async () => {
    job = { ...job, runId: null, status: 'queued', phase: 'queued' };
    const cut = new AbortController();
    const streams = await Promise.all([open({ signal: cut.signal }), open({ signal: cut.signal })]);
    expect(streams.map(({ status }) => status)).toEqual([200, 200]);
    expect((await open()).status).toBe(429);
    cut.abort();
    expect((await gateway.call(`/api/v1/jobs/${newId('job')}/log/stream`)).status).toBe(404);
    expect((await open({}, '?after=%20')).status).toBe(400);
    expect((await open({ headers: { 'last-event-id': 'a b' } })).status).toBe(400);
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { newId } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { startGatewayFixture } from './testing/gateway-fixture.js';
import type { GatewayFixture } from './testing/gateway-fixture.js';
import { JobLog, readSse } from './testing/job-log.js';

describe('the live stream of a job', () => {
  let gateway: GatewayFixture;
  let log: JobLog;

  beforeAll(async () => {
    gateway = await startGatewayFixture({ streamPollMs: 200, maxStreams: 3 });
    log = new JobLog(gateway.responders);
    log.append(450); // more than two pages
  });
  afterAll(() => gateway.stop());
  afterEach(() => gateway.noLiveStream());

  const open = (options: { lastEventId?: number; signal?: AbortSignal; query?: string } = {}) =>
    gateway.call(`/api/v1/jobs/${log.jobId}/stream${options.query ?? ''}`, {
      ...(options.signal && { signal: options.signal }),
      headers: options.lastEventId === undefined ? {} : { 'last-event-id': String(options.lastEventId) },
    });

  const bearer = () => ({ authorization: `Bearer ${gateway.key}` });

  /** Ids until `until` is seen; then the connection is cut. */
  async function collect(
    lastEventId: number,
    until: number,
    arrived: (id: number) => void = () => undefined,
  ): Promise<number[]> {
    const cut = new AbortController();
    const ids: number[] = [];
    try {
      for await (const { id } of readSse(await open({ lastEventId, signal: cut.signal }))) {
        if (id === undefined) continue;
        ids.push(id);
        arrived(id);
        if (id === until) break;
      }
    } finally {
      cut.abort();
    }
    return ids;
  }

  it('replays everything from the beginning, in the wire form', async () => {
    const cut = new AbortController();
    const response = await open({ signal: cut.signal });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(response.headers.get('x-request-id')).toMatch(/^req_/);
    for await (const event of readSse(response)) {
      expect(event).toEqual({
        id: 1,
        type: 'metrics',
        data: { points: [{ step: 1, name: 'evaluationLoss', value: 1 }] },
      });
      break;
    }
    cut.abort();
  });

  it('begins after the id in the header, which wins over the one in the URL', async () => {
    expect(await collect(445, 450)).toEqual([446, 447, 448, 449, 450]);
    const cut = new AbortController();
    for await (const { id } of readSse(await open({ query: '?last_event_id=448', signal: cut.signal }))) {
      expect(id).toBe(449);
      break;
    }
    cut.abort();
  });

  it('has no gap and no double over appends that go on, cut connections and lost pokes', async () => {
    const target = 900;
    const seen: number[] = [];
    while (seen.length < target) {
      const last = seen.at(-1) ?? 0;
      // Entries are appended while the stream is read, in bursts; every third poke is lost.
      const arrived = (id: number): void => {
        if (id % 3 === 0 && log.entries.length < target) log.append(1 + (id % 5), id % 9 !== 0);
      };
      seen.push(...(await collect(last, Math.min(target, last + 97), arrived)));
    }
    expect(log.entries.length).toBeGreaterThanOrEqual(target);
    expect(seen).toEqual(Array.from({ length: target }, (_, index) => index + 1));
  });

  it('is read on through another gateway, with the key and the session of the first, without gap or double', async () => {
    const other = await gateway.replica();
    try {
      const signedIn = await fetch(`${gateway.url}/api/v1/session`, {
        ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
        body: JSON.stringify({ key: gateway.key }),
      });
      const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? '';
      const seen: number[] = [];
      for (let turn = 0; turn < 6; turn += 1) {
        const last = seen.at(-1) ?? 0;
        const cut = new AbortController();
        const [url, credentials] =
          turn % 2 === 0 ? [gateway.url, { cookie }] : [other.url, turn === 1 ? { cookie } : bearer()];
        const response = await fetch(`${url}/api/v1/jobs/${log.jobId}/stream`, {
          headers: { ...credentials, 'last-event-id': String(last) },
          signal: cut.signal,
        });
        expect(response.status).toBe(200);
        for await (const { id } of readSse(response)) {
          if (id === undefined) continue;
          seen.push(id);
          if (id >= last + 50) break;
          if (id % 10 === 0) log.append(1);
        }
        cut.abort();
      }
      expect(seen).toEqual(Array.from({ length: 300 }, (_, index) => index + 1));
      const before = log.entries.length;
      const cut = new AbortController();
      const next = readSse(
        await fetch(`${other.url}/api/v1/jobs/${log.jobId}/stream`, {
          headers: { ...bearer(), 'last-event-id': String(before) },
          signal: cut.signal,
        }),
      ).next();
      log.append(1);
      expect((await next).value).toMatchObject({ id: before + 1 });
      cut.abort();
    } finally {
      await other.stop();
    }
  });

  it('shows a new entry because of its poke, long before its next look', async () => {
    const other = await gateway.replica({ streamPollMs: 600_000 });
    const cut = new AbortController();
    try {
      const { reads, entries } = log;
      const last = entries.length;
      const headers = { ...bearer(), 'last-event-id': String(last) };
      const stream = fetch(`${other.url}/api/v1/jobs/${log.jobId}/stream`, { headers, signal: cut.signal });
      const next = stream.then((response) => readSse(response).next());
      await waitFor(() => log.reads > reads);
      log.append(1);
      expect((await next).value).toMatchObject({ id: last + 1 });
    } finally {
      cut.abort();
      await other.stop();
    }
  });

  it('refuses what is not a job, an id that is not a number, and more streams than allowed', async () => {
    for (const jobId of ['*', '%3E', 'a.b', newId('job')]) {
      const response = await gateway.call(`/api/v1/jobs/${jobId}/stream`);
      expect([response.status, await response.json()]).toMatchObject([404, { code: 'job.not-found' }]);
    }
    const wrong = await gateway.call(`/api/v1/jobs/${log.jobId}/stream`, { headers: { 'last-event-id': 'abc' } });
    expect([wrong.status, await wrong.json()]).toMatchObject([
      400,
      { code: 'request.invalid', param: 'last_event_id' },
    ]);
    const cut = new AbortController();
    const last = log.entries.length;
    const streams = await Promise.all([1, 2, 3].map(() => open({ lastEventId: last, signal: cut.signal })));
    expect(streams.map(({ status }) => status)).toEqual([200, 200, 200]);
    const fourth = await open({ lastEventId: last });
    expect([fourth.status, await fourth.json()]).toMatchObject([429, { code: 'request.rate-limited' }]);
    cut.abort();
  });

  it('ends with the job, after the last entry', async () => {
    const last = log.entries.length;
    const response = await open({ lastEventId: last });
    log.append(2, false);
    log.end();
    const events = [];
    for await (const event of readSse(response)) events.push(event);
    expect(events.map(({ id, type }) => id ?? type)).toEqual([last + 1, last + 2, 'end']);
  });
});

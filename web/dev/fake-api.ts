import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Schemas } from '@luthier/api-client';
import { CLUSTER_SAID } from './cluster-events.js';
import { busy, cluster, findings, noCluster, tooLarge } from './cluster-fixtures.js';
import { PAIRS_JOB, inventory, pairsJob } from './comparison-fixtures.js';
import { Exports } from './exports.js';
import * as fixtures from './fixtures.js';
import { LiveJob } from './live-job.js';

export const FAKE_KEY = 'lk-of-the-fake-api';
const COOKIE = 'luthier_session=of-the-fake-api';

export interface FakeApi {
  url: string;
  liveJobId: string;
  /** Of a job in a cluster that makes steps seldom. */
  clusterJobId: string;
  /** What the platform says of what carries that job; null: nothing is wrong. */
  placeClusterJob: LiveJob['place'];
  /** No run has a place in the cluster now, and new ones are refused. */
  fillCluster: (full: boolean) => void;
  /** Ends open live streams, as a restart of the gateway does. */
  dropStreams: () => number;
  /** The export that is made next fails. */
  failExport: () => void;
  /** The node of the live job stops answering. */
  loseNode: () => void;
  close: () => Promise<void>;
}

export interface FakeApiOptions {
  /** Address of the Next server that everything else is passed to. */
  webUrl: string;
  port?: number;
  /** Nothing there yet: for the empty states. */
  empty?: boolean;
  stepMs?: number;
}

interface State {
  live: LiveJob;
  jobs: Map<string, LiveJob>;
  models: Schemas['Model'][];
  files: Schemas['OpenAIFile'][];
  exports: Exports;
  streams: Set<ServerResponse>;
  empty: boolean;
  full: boolean;
}
type Handler = (call: {
  state: State;
  parts: string[];
  url: URL;
  body: string;
  response: ServerResponse;
  request: IncomingMessage;
}) => unknown;

class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
    readonly obstacle?: Schemas['Obstacle'],
  ) {
    super(message);
  }
}
const notFound = (what: string): Refusal =>
  new Refusal(404, `${what}.not-found`, `There is no such ${what}`, 'Look at the list for what there is.');
const found = <T>(value: T | undefined, what: string): T => {
  if (value === undefined) throw notFound(what);
  return value;
};
const page = <T>(items: T[]) => ({ items, has_more: false });
const list = <T>(data: T[]) => ({ object: 'list', data, has_more: false, first_id: null, last_id: null });
/** A page of a list that is paged by `after` and `limit`. */
const pageOf = <T extends { id: string }>(all: readonly T[], url: URL) => {
  const from = all.findIndex((item) => item.id === url.searchParams.get('after')) + 1;
  const limit = Number(url.searchParams.get('limit') ?? 20);
  return { ...list(all.slice(from, from + limit)), has_more: from + limit < all.length };
};
const records = (state: State): Schemas['Job'][] =>
  state.empty
    ? []
    : [...[...state.jobs.values()].map((j) => j.record).reverse(), pairsJob, fixtures.baseJob, fixtures.failedJob];
const jobOf = (state: State, jobId = ''): Schemas['Job'] =>
  found(
    records(state).find((job) => job.id === jobId),
    'job',
  );
const session = { signed_in: true, via: 'session', expires_at: null };

function follow(state: State, job: LiveJob, from: number, response: ServerResponse): void {
  let cursor = from;
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const push = (): void => {
    if (response.writableEnded) return;
    for (const entry of job.entries.slice(cursor)) {
      response.write(`id: ${entry.id}\nevent: ${entry.type}\ndata: ${JSON.stringify(entry.data)}\n\n`);
      cursor = entry.id;
    }
    if (job.ended) response.end('event: end\ndata: {}\n\n');
  };
  const stop = job.onEntry(push);
  state.streams.add(response);
  response.once('close', () => {
    stop();
    state.streams.delete(response);
  });
  push();
}

/** The log of a run: what is there, and of a live one a line from time to time. */
function writeLog(state: State, response: ServerResponse, last: number, growing: boolean): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const send = (id: number, text: string): unknown =>
    response.write(`id: ${id}\nevent: log\ndata: ${JSON.stringify({ text, truncated: id === 1 })}\n\n`);
  let next = last + 1;
  if (next === 1) send(next++, `${fixtures.RUN_LOG}\n`);
  if (!growing) return void response.end('event: end\ndata: {}\n\n');
  const timer = setInterval(() => send(next, `a new line, number ${next++}\n`), 300);
  state.streams.add(response);
  response.once('close', () => {
    clearInterval(timer);
    state.streams.delete(response);
  });
}

/** A finished job's stream: the whole curve at once. */
function replay(response: ServerResponse, compares: boolean): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const curve = (name: string, value: (step: number) => number) =>
    Array.from({ length: 120 }, (_, i) => ({ step: i + 1, name, value: value(i) }));
  const points = [
    ...curve('loss', (i) => (compares ? 0.31 + 0.38 * Math.exp(-i / 30) : 0.18 + 3.2 * Math.exp(-i / 18))),
    ...(compares ? curve('rewardAccuracy', (i) => 1 - 0.5 * Math.exp(-i / 20)) : []),
    ...(compares ? curve('rewardMargin', (i) => i / 100) : []),
  ];
  response.end(`id: 1\nevent: metrics\ndata: ${JSON.stringify({ points })}\n\nevent: end\ndata: {}\n\n`);
}

const PLANNED = (body: string, { full }: State): Schemas['Plan'] => {
  if (full) return { ...fixtures.plan(true), verdict: 'waits', ...busy };
  const wanted = JSON.parse(body) as { method?: { supervised?: { hyperparameters?: { batch_size?: number } } } };
  return fixtures.plan((wanted.method?.supervised?.hyperparameters?.batch_size ?? 8) <= 64);
};

const HANDLERS: Record<string, Handler> = {
  'POST /api/v1/session': ({ body, response }) => {
    const { key } = JSON.parse(body) as { key: string };
    if (key !== FAKE_KEY) throw new Refusal(401, 'auth.wrong-key', 'The API key is not known', 'Copy it whole.');
    response.setHeader('set-cookie', `${COOKIE}; Path=/; HttpOnly; SameSite=Strict`);
    return session;
  },
  'GET /api/v1/session': () => session,
  'DELETE /api/v1/session': ({ response }) => {
    response.setHeader('set-cookie', 'luthier_session=; Path=/; Max-Age=0');
    response.statusCode = 204;
    return undefined;
  },
  'GET /api/v1/jobs': ({ state }) => page(records(state)),
  'GET /api/v1/jobs/*': ({ state, parts }) => jobOf(state, parts[3]),
  'GET /api/v1/jobs/*/evaluation': ({ parts }) => {
    if (parts[3] !== fixtures.DONE_JOB) throw notFound('evaluation');
    return fixtures.evaluation;
  },
  'GET /api/v1/jobs/*/stream': ({ state, parts, request, url, response }) => {
    const job = state.jobs.get(parts[3] ?? '');
    const last = request.headers['last-event-id'] ?? url.searchParams.get('last_event_id') ?? '0';
    if (job) follow(state, job, Number(last), response);
    else replay(response, parts[3] === PAIRS_JOB);
    return undefined;
  },
  'POST /v1/fine_tuning/jobs': ({ state, body }) => {
    const { message, obstacle } = tooLarge;
    if (state.full) throw new Refusal(400, 'plan.does-not-fit', message, 'Ask for what would fit.', obstacle);
    const wanted = JSON.parse(body) as { suffix?: string };
    const job = new LiveJob(`new${state.jobs.size}`, 200, 200, { suffix: wanted.suffix ?? null });
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
  'GET /v1/fine_tuning/jobs/*/events': ({ parts, url }) =>
    pageOf(parts[3] === fixtures.DONE_JOB ? fixtures.doneEvents : [], url),
  'GET /v1/fine_tuning/jobs/*/checkpoints': ({ parts, url }) =>
    pageOf(parts[3] === fixtures.DONE_JOB ? fixtures.doneCheckpoints : [], url),
  'GET /api/v1/jobs/*/log': ({ state, parts }) => {
    jobOf(state, parts[3]);
    return { text: fixtures.RUN_LOG, truncated: true };
  },
  'GET /api/v1/jobs/*/log/stream': ({ state, parts, request, response }) => {
    const job = jobOf(state, parts[3]);
    const last = Number(request.headers['last-event-id'] ?? 0);
    writeLog(state, response, last, state.jobs.has(job.id));
    return undefined;
  },
  'POST /api/v1/plan': ({ body, state }) => PLANNED(body, state),
  'GET /v1/files': ({ state }) => list(state.files),
  'POST /v1/files': ({ state }) => {
    const file = found(fixtures.files[0], 'file');
    const added = { ...file, id: fixtures.id('file-', `up${state.files.length}`), filename: 'uploaded.jsonl' };
    state.files.unshift(added);
    return added;
  },
  'GET /v1/files/*': ({ state, parts }) =>
    found(
      state.files.find((file) => file.id === parts[2]),
      'file',
    ),
  'DELETE /v1/files/*': () => {
    throw new Refusal(409, 'file.in-use', 'The file is in use', 'Cancel the job that reads it first.');
  },
  'GET /api/v1/files/*/validation': ({ parts }) =>
    fixtures.reports[parts[3] ?? ''] ?? { ...fixtures.reports[fixtures.TRAIN_FILE], file_id: parts[3] },
  'GET /api/v1/files/*/rows': ({ parts, url }) => {
    const all = fixtures.rows(parts[3] ?? '');
    const offset = Number(url.searchParams.get('offset') ?? 0);
    const rows = all.slice(offset, offset + Number(url.searchParams.get('limit') ?? 50));
    return { rows, total: all.length, next_offset: offset + rows.length };
  },
  'GET /api/v1/inventory': () => inventory,
  'GET /api/v1/datasets': ({ state }) => page(state.empty ? [] : fixtures.datasets),
  'GET /api/v1/datasets/*': ({ parts }) =>
    found(
      fixtures.datasets.find((d) => d.id === parts[3]),
      'dataset',
    ),
  'GET /api/v1/models': ({ state }) => page(state.models),
  'POST /api/v1/models': ({ state, body }) => {
    const { model } = JSON.parse(body) as { model: string };
    const entry = found(
      fixtures.catalog.find((e) => e.name === model),
      'model',
    );
    const base = found(fixtures.models[1], 'model');
    const added = {
      ...base,
      id: fixtures.id('model-', `im${state.models.length}`),
      name: entry.name,
      title: entry.title,
    };
    state.models.push(added);
    return added;
  },
  'GET /api/v1/models/*': ({ state, parts }) => {
    const model = found(
      state.models.find((m) => m.id === decodeURIComponent(parts[3] ?? '')),
      'model',
    );
    return { model, base: state.models.find((m) => m.id === model.base_model_id) ?? null };
  },
  'POST /api/v1/models/*/exports/*': ({ state, parts }) => {
    const answer = state.exports.ask(parts[3] ?? '', parts[5] ?? '');
    if (answer) return answer;
    throw new Refusal(507, 'disk.full', 'The disk is full: 270 MB are missing.', 'Free some space, then try again.');
  },
  'GET /api/v1/models/*/exports/*/*': ({ state, parts, response }) => {
    const bytes = found(state.exports.content(parts[5] ?? '', parts[6] ?? ''), 'file');
    const headers = { 'content-type': 'application/octet-stream', 'content-length': bytes.length };
    response.writeHead(200, { ...headers, 'content-disposition': 'attachment' }).end(bytes);
    return undefined;
  },
  'GET /api/v1/cluster': ({ state }) => (state.empty ? noCluster : cluster),
  'GET /api/v1/cluster/doctor': () => findings,
  'GET /api/v1/catalog': () => ({ entries: fixtures.catalog }),
  'POST /v1/chat/completions': async ({ body }) => {
    const { model } = JSON.parse(body) as { model: string };
    const tuned = model === fixtures.TUNED_ID;
    await new Promise((resolve) => setTimeout(resolve, 60));
    const content = tuned ? 'Within 45 days, and we pay the way back.' : 'It depends on the shop; please ask there.';
    return {
      choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 31, completion_tokens: tuned ? 12 : 11, total_tokens: 43 },
    };
  },
};
const PATTERNS = Object.entries(HANDLERS).map(([route, handler]) => {
  const [method = '', path = ''] = route.split(' ');
  return { method, path: new RegExp(`^${path.replaceAll('*', '[^/]+')}$`), handler };
});

function toWeb(request: IncomingMessage, response: ServerResponse, webUrl: string): void {
  const onward = httpRequest(
    new URL(request.url ?? '/', webUrl),
    { method: request.method, headers: request.headers },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  onward.on('error', () => response.writeHead(502).end());
  request.pipe(onward);
}

async function answer(state: State, request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  const match = PATTERNS.find(({ method, path }) => method === request.method && path.test(url.pathname));
  const signedIn = (request.headers.cookie ?? '').includes(COOKIE) || request.method === 'POST';
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const send = (status: number, body: unknown): void => {
    response.statusCode = status;
    response.setHeader('content-type', status < 400 ? 'application/json' : 'application/problem+json');
    response.setHeader('x-request-id', 'req_of_the_fake_api');
    response.end(JSON.stringify(body));
  };
  try {
    if (!match) throw notFound('route');
    if (!signedIn) throw new Refusal(401, 'auth.missing', 'No API key was sent', 'Sign in.');
    const body = Buffer.concat(chunks).toString('utf8');
    const result = await match.handler({
      state,
      parts: url.pathname.split('/').slice(1),
      url,
      body,
      response,
      request,
    });
    if (result !== undefined) send(200, result);
    else if (response.statusCode === 204) response.end();
  } catch (thrown) {
    const { status, code, message, hint, obstacle } =
      thrown instanceof Refusal ? thrown : new Refusal(500, 'internal', String(thrown), '');
    send(status, {
      type: 'about:blank',
      title: message,
      status,
      detail: message,
      code,
      param: null,
      hint,
      obstacle,
      request_id: '',
    });
  }
}

/** A stand-in of the gateway for developing and testing the dashboard alone: the API's shapes, and the dashboard behind. */
export async function startFakeApi(options: FakeApiOptions): Promise<FakeApi> {
  // Long enough not to end while somebody looks at it.
  const live = new LiveJob('live', 4_000, options.stepMs ?? 150, { suffix: 'live' });
  const inCluster = new LiveJob('cluster', 400, 60_000, { suffix: 'cluster' });
  for (const said of CLUSTER_SAID) inCluster.say(said);
  const empty = options.empty ?? false;
  const state: State = {
    live,
    jobs: new Map([inCluster, live].map((job) => [job.record.id, job])),
    models: empty ? [] : [...fixtures.models],
    files: empty ? [] : [...fixtures.files],
    exports: new Exports(),
    streams: new Set(),
    empty,
    full: false,
  };
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (/^\/(api\/)?v1\//.test(url.pathname)) void answer(state, request, response, url);
    else toWeb(request, response, options.webUrl);
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const dropStreams = (): number => {
    const open = [...state.streams];
    for (const stream of open) stream.destroy();
    return open.length;
  };
  return {
    url: `http://127.0.0.1:${port}`,
    liveJobId: live.record.id,
    clusterJobId: inCluster.record.id,
    placeClusterJob: (placement) => inCluster.place(placement),
    fillCluster: (full) => (state.full = full),
    dropStreams,
    failExport: () => state.exports.failNext(),
    loseNode: () => state.live.loseNode(),
    close: async () => {
      for (const job of state.jobs.values()) job.stop();
      dropStreams();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

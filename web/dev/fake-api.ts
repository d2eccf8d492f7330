import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CLUSTER_SAID } from './fixtures/cluster-events.js';
import { Exports } from './fixtures/exports.js';
import { files } from './fixtures/files.js';
import { models } from './fixtures/models.js';
import { Refusal, notFound } from './handlers/call.js';
import type { State } from './handlers/call.js';
import { CLUSTER_HANDLERS } from './handlers/cluster.js';
import { FILE_HANDLERS } from './handlers/files.js';
import { JOB_HANDLERS } from './handlers/jobs.js';
import { MODEL_HANDLERS } from './handlers/models.js';
import { COOKIE, SESSION_HANDLERS } from './handlers/session.js';
import { LiveJob } from './live-job.js';

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
  /** As what the gateway would refuse the body of a job; null: it would take it. */
  checkJob?: State['checkJob'];
}

const HANDLERS = { ...SESSION_HANDLERS, ...JOB_HANDLERS, ...FILE_HANDLERS, ...MODEL_HANDLERS, ...CLUSTER_HANDLERS };
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
    const { status, code, message, hint, details } =
      thrown instanceof Refusal ? thrown : new Refusal(500, 'internal', String(thrown), '');
    send(status, {
      type: 'about:blank',
      title: message,
      status,
      detail: message,
      code,
      hint,
      ...{ param: null, ...details },
      request_id: '',
    });
  }
}

/** A stand-in of the gateway for developing and testing the dashboard alone: the API's shapes, and the dashboard behind. */
export async function startFakeApi(options: FakeApiOptions): Promise<FakeApi> {
  // Long enough not to end while somebody looks at it, or tests do on a slow machine.
  const live = new LiveJob('live', 40_000, options.stepMs ?? 150, { suffix: 'live' });
  const inCluster = new LiveJob('cluster', 400, 60_000, { suffix: 'cluster' });
  for (const said of CLUSTER_SAID) inCluster.say(said);
  const empty = options.empty ?? false;
  const state: State = {
    live,
    jobs: new Map([inCluster, live].map((job) => [job.record.id, job])),
    models: empty ? [] : [...models],
    files: empty ? [] : [...files],
    exports: new Exports(),
    checkJob: options.checkJob ?? (() => null),
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

import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { ContainerLog, LogQuery } from './container-log.js';

/** Where a log is, or what a kubelet says when there is none. */
export type FindLog = (
  namespace: string,
  pod: string,
  container: string,
  previous: boolean,
) => { log: ContainerLog } | { status: number; message: string } | 'cut off';

export interface KubeletServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves logs to the API server: `GET /containerLogs/{namespace}/{pod}/{container}`. */
export async function startKubeletServer(
  certificate: { cert: string; key: string },
  find: FindLog,
): Promise<KubeletServer> {
  const server = createServer(certificate, (request, response) => {
    void answer(request, response, find).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, find: FindLog): Promise<void> {
  const url = new URL(request.url ?? '/', 'https://kubelet');
  const [, kind, namespace = '', pod = '', container = ''] = url.pathname.split('/').map(decodeURIComponent);
  const ask = url.searchParams;
  const found =
    kind === 'containerLogs'
      ? find(namespace, pod, container, ask.get('previous') === 'true')
      : { status: 404, message: 'the fake kubelet serves logs only' };
  if (found === 'cut off') {
    response.destroy();
    return;
  }
  if ('status' in found) {
    response.writeHead(found.status, { 'content-type': 'text/plain' }).end(found.message);
    return;
  }
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.flushHeaders();
  for await (const text of found.log.read(queryOf(ask), ask.get('follow') === 'true', gone.signal))
    if (!response.write(text)) await once(response, 'drain', { signal: gone.signal });
  response.end();
}

function queryOf(ask: URLSearchParams): LogQuery {
  const number = (name: string): number | undefined => (ask.has(name) ? Number(ask.get(name)) : undefined);
  const tailLines = number('tailLines');
  const limitBytes = number('limitBytes');
  const sinceSeconds = number('sinceSeconds');
  const since = sinceSeconds === undefined ? undefined : new Date(Date.now() - sinceSeconds * 1_000).toISOString();
  const sinceTime = ask.get('sinceTime') ?? since;
  return {
    ...(tailLines !== undefined && { tailLines }),
    ...(limitBytes !== undefined && { limitBytes }),
    ...(sinceTime !== undefined && { sinceTime }),
    timestamps: ask.get('timestamps') === 'true',
  };
}

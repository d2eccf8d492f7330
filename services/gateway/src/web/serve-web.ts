import httpProxy from '@fastify/http-proxy';
import type { FastifyInstance } from 'fastify';

const NO_DASHBOARD = `Luthier

The dashboard is not running here. The API is:
  /v1                   the files, fine-tuning, models and chat contract of OpenAI
  /api/v1               the platform
  /api/v1/openapi.json  what there is
`;

/** Everything that is not the API: the dashboard's own server behind the same origin, or a page that says where to go. */
export async function serveWeb(scope: FastifyInstance, webUrl: string | undefined): Promise<void> {
  if (webUrl === undefined) {
    scope.get('/*', (_request, reply) => {
      const found = reply.request.url.split('?')[0] === '/';
      return reply
        .code(found ? 200 : 404)
        .header('x-content-type-options', 'nosniff')
        .type('text/plain; charset=utf-8')
        .send(NO_DASHBOARD);
    });
    return;
  }
  await scope.register(httpProxy, {
    upstream: webUrl,
    websocket: false,
    httpMethods: ['GET', 'HEAD', 'POST'],
    http: { requestOptions: { timeout: 30_000 } },
    replyOptions: {
      // A kept connection to a dashboard that ends: what only reads is asked again, of the next one.
      retriesCount: 2,
      onError: (reply) => {
        reply
          .code(502)
          .type('text/plain; charset=utf-8')
          .send('The dashboard does not answer; the API may still do.\n');
      },
    },
  });
}

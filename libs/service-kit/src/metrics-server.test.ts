import { expect, it } from '@jest/globals';
import { steadyPort } from '@luthier/testing';
import { ServiceMetrics } from './metrics.js';
import { serveMetrics } from './metrics-server.js';

it('a port for metrics tells them, and nothing else, until it is closed', async () => {
  const port = await steadyPort();
  const server = await serveMetrics(new ServiceMetrics('gateway'), { host: '127.0.0.1', port });
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
  expect(answer.headers.get('content-type')).toContain('version=0.0.4');
  expect(await answer.text()).toContain('luthier_service_start_time_seconds{service="gateway"}');
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
  expect((await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'POST' })).status).toBe(404);
  await server.stop();
  await expect(fetch(`http://127.0.0.1:${port}/metrics`)).rejects.toThrow();
});

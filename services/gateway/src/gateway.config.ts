import { z } from 'zod';
import { artifactFields, baseFields, databaseFields, defineConfig, env, flag } from '@luthier/service-kit';
import type { ConfigOf } from '@luthier/service-kit';

const bytes = (standard: number) => z.coerce.number().int().positive().default(standard);

export const gatewayConfigSchema = defineConfig('gateway', {
  ...baseFields,
  ...artifactFields,
  ...databaseFields,
  workDir: env('LUTHIER_WORK_DIR', z.string().min(1), 'folder where the first start writes `api-key`'),
  webUrl: env(
    'LUTHIER_GATEWAY_WEB_URL',
    z.url().optional(),
    'address of the dashboard server; without it no dashboard',
  ),
  maxFileBytes: env('LUTHIER_GATEWAY_MAX_FILE_BYTES', bytes(512 * 1024 * 1024), 'largest file that may be uploaded'),
  bodyLimitBytes: env('LUTHIER_GATEWAY_BODY_LIMIT_BYTES', bytes(10 * 1024 * 1024), 'largest JSON body'),
  sessionSeconds: env('LUTHIER_GATEWAY_SESSION_SECONDS', bytes(7 * 24 * 3600), 'how long a browser stays signed in'),
  secureCookie: env('LUTHIER_GATEWAY_SECURE_COOKIE', flag().default(false), 'send the cookie over HTTPS only'),
  trustProxy: env('LUTHIER_GATEWAY_TRUST_PROXY', flag().default(false), 'trust X-Forwarded-* of a proxy in front'),
  maxStreams: env('LUTHIER_GATEWAY_MAX_STREAMS', bytes(500), 'live streams open at once'),
  streamPollMs: env('LUTHIER_GATEWAY_STREAM_POLL_MS', bytes(2_000), 'a live stream looks at least so often'),
});
export type GatewayConfig = ConfigOf<typeof gatewayConfigSchema>;

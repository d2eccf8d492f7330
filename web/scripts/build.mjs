// Builds the dashboard and completes the standalone folder: `node web/.next/standalone/web/server.js` then serves it.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const web = join(import.meta.dirname, '..');
const next = createRequire(import.meta.url).resolve('next/dist/bin/next');
const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' };
// Set by a test runner for its own process.
delete env.NODE_OPTIONS;

const built = spawnSync(process.execPath, [next, 'build'], { cwd: web, env, stdio: 'inherit' });
if (built.status !== 0) process.exit(built.status ?? 1);

const out = join(web, '.next', 'standalone', 'web');
// Next leaves these out, for servers that have a content network in front.
for (const [from, to] of [
  [join(web, '.next', 'static'), join(out, '.next', 'static')],
  [join(web, 'public'), join(out, 'public')],
]) {
  rmSync(to, { recursive: true, force: true });
  if (existsSync(from)) cpSync(from, to, { recursive: true });
}

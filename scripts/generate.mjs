// Writes what is derived from the code: JSON Schemas of the contracts, the table of errors, what services may do at NATS,
// Grafana's dashboards, the API client, the chart's README.
// With --check nothing is written and a difference is an error.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { chartReadme } from './chart-readme.mjs';
import { fleet } from './dashboards/fleet.mjs';
import { platform } from './dashboards/platform.mjs';
import { run } from './dashboards/run.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const check = process.argv.includes('--check');
if (
  spawnSync('turbo', ['run', 'build', '--filter=@luthier/messaging', '--output-logs=errors-only'], { stdio: 'inherit' })
    .status !== 0
)
  process.exit(1);

const contracts = await import('../libs/contracts/dist/index.js');
const { z } = await import('zod');
const changed = [];

async function emit(file, text) {
  const pretty = await format(text, { ...(await resolveConfig(file)), filepath: file });
  if (existsSync(file) && readFileSync(file, 'utf8') === pretty) return;
  changed.push(file);
  if (check) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, pretty);
}

const SCHEMAS = {
  'run-request': contracts.runRequest,
  'runtime-spec': contracts.runtimeSpec,
  'runtime-event': contracts.runtimeEvent,
  'cluster-event': contracts.clusterEvent,
  'run-spec': contracts.runSpec,
  'run-status': contracts.runStatus,
  'run-outcome': contracts.runOutcome,
  'prepared-manifest': contracts.preparedManifest,
  capabilities: contracts.capabilities,
};
for (const [name, schema] of Object.entries(SCHEMAS)) {
  await emit(
    `libs/contracts/schema/${name}.json`,
    JSON.stringify({ $id: `luthier.dev/schema/${name}`, ...z.toJSONSchema(schema) }),
  );
}

const errorRows = Object.entries(contracts.ERRORS).map(
  ([code, row]) => `| \`${code}\` | ${row.httpStatus} | ${row.title} | ${row.hint} | ${row.retryable ? 'yes' : 'no'} |`,
);
await emit(
  'docs/reference/errors.md',
  `# Error codes

Every fault that a user or an operator can meet has one of these codes, in the API's answers, on a job, and in the logs.
Under \`/v1\` an error has OpenAI's shape (\`error.code\`), under \`/api/v1\` it is problem+json. This page is generated from
\`libs/contracts/src/errors.ts\`.

| code | HTTP | what it means | what to do | try again by itself |
| --- | --- | --- | --- | --- |
${errorRows.join('\n')}
`,
);

const { natsPermissions } = await import('../libs/messaging/dist/index.js');
await emit(
  'charts/luthier/files/nats-permissions.json',
  JSON.stringify(Object.fromEntries(contracts.SERVICES.map((service) => [service, natsPermissions(service)]))),
);

await emit('charts/luthier/README.md', chartReadme(readFileSync('charts/luthier/values.yaml', 'utf8')));

for (const [name, described] of Object.entries({ fleet, platform, run }))
  await emit(`charts/luthier/dashboards/${name}.json`, JSON.stringify(described));

// A test of the gateway compares the client's document with the routes, so that there is nothing to check here.
if (!check && spawnSync('pnpm', ['--filter', '@luthier/api-client', 'generate'], { stdio: 'inherit' }).status !== 0)
  process.exit(1);

for (const file of changed) console.log(`${check ? 'out of date' : 'written'}: ${file}`);
if (check && changed.length > 0) console.error('run `node scripts/generate.mjs`');
process.exit(check && changed.length > 0 ? 1 : 0);

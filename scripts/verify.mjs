// Everything a reviewer would check by machine: format, lint, types, dead code, generated files, then the tests.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const STEPS = [
  ['format', 'prettier', ['--check', '--log-level=warn', '.']],
  ['types', 'tsc', ['--noEmit', '-p', 'tsconfig.json']],
  ['types of the dashboard', 'pnpm', ['--filter', '@luthier/web', 'typecheck']],
  ['lint', 'eslint', ['--max-warnings=0', '.']],
  ['dead code', 'knip', []],
  ['generated files', process.execPath, ['scripts/generate.mjs', '--check']],
  ['tests', process.execPath, ['scripts/test.mjs']],
];
const failed = [];
for (const [name, command, args] of STEPS) {
  console.log(`\n== ${name}`);
  if (spawnSync(command, args, { stdio: 'inherit' }).status !== 0) failed.push(name);
}
console.log(failed.length === 0 ? '\nverify: all good' : `\nverify: failed: ${failed.join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);

// Builds what changed, then hands over to the `luthier` command.
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const started = Date.now();
console.log('luthier: building (first time: one to two minutes, later only what changed)');
const built = spawnSync('turbo', ['run', 'build', '--output-logs=errors-only', '--log-order=grouped'], {
  stdio: ['ignore', 'ignore', 'inherit'],
  env: process.env,
});
if (built.status !== 0) {
  console.error('luthier: the build failed; `npx turbo run build` shows why');
  process.exit(1);
}
console.log(`luthier: built in ${((Date.now() - started) / 1000).toFixed(0)} s`);

const child = spawn(process.execPath, ['services/cli/dist/main.js', ...process.argv.slice(2)], { stdio: 'inherit' });
// Ctrl-C reaches the whole foreground group; a signal sent to this process alone is passed on.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
process.on('SIGINT', () => undefined);
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));

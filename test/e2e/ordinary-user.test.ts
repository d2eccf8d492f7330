import { expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { chmod, chown, copyFile, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { findNatsServer } from '@luthier/local-servers';
import { removeHome, tempDir } from '@luthier/testing';
import { expectWholeAndSingle, submitJob, waitForEnd } from './support/jobs.js';
import { PROJECT, PlatformProcess } from './support/platform-process.js';
import { requirement } from './support/requirement.js';

const NOBODY = 65_534;
const ROOT = process.getuid?.() === 0;
/** The other tests run as ourselves; root has to become somebody ordinary first. */
const AS_ORDINARY = ROOT ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : [];

const runs = (prefix: readonly string[], ...args: string[]): boolean => {
  const [program = 'true', ...rest] = [...prefix, ...args];
  return spawnSync(program, rest, { cwd: '/' }).status === 0;
};

/**
 * How the ordinary user comes to the project. Where it lies below root's home, the user sees it in `place`: mounted there
 * for this one process and its children, gone with them. Undefined where that cannot be done.
 */
async function wayToProject(place: string): Promise<{ prefix: readonly string[]; project: string } | undefined> {
  if (runs(AS_ORDINARY, 'test', '-r', join(PROJECT, 'package.json'))) return { prefix: AS_ORDINARY, project: PROJECT };
  await mkdir(place);
  const script = 'mount -o bind,ro "$0" "$1" && shift && exec "$@"';
  const mounted = ['unshare', '--mount', '--propagation=private', 'sh', '-c', script, PROJECT, place, ...AS_ORDINARY];
  return runs(mounted, 'test', '-r', join(place, 'package.json')) ? { prefix: mounted, project: place } : undefined;
}

it('runs for an ordinary user, in a home that nobody else can read', async () => {
  if (!requirement(runs(AS_ORDINARY, 'true'), 'an ordinary user (root needs setpriv to become one)')) return;
  const way = await wayToProject(join(await tempDir('e2e-project'), 'project'));
  if (!way) {
    // A matter of where the project lies (below root's home), not of what this machine can do.
    process.stderr.write('SKIPPED: an ordinary user: this project lies in a folder that other users cannot enter\n');
    return;
  }
  const dir = await tempDir('e2e-user');
  const home = join(dir, 'home');
  for (const folder of [home, join(dir, 'bin')]) await mkdir(folder, { mode: 0o700 });
  const program = join(dir, 'bin', 'nats-server'); // ours lies in a cache that the other user cannot read
  await copyFile((await findNatsServer()).path, program);
  if (ROOT) for (const path of [dir, home, join(dir, 'bin'), program]) await chown(path, NOBODY, NOBODY);
  await chmod(dir, 0o700);
  const platform = await PlatformProcess.start({
    home,
    ...way,
    env: { HOME: home, PATH: `${join(dir, 'bin')}:${process.env['PATH'] ?? ''}` },
  });
  try {
    const { id } = await submitJob(platform.client, { steps: 10 });
    const job = await waitForEnd(platform.client, id);
    expect(job).toMatchObject({ status: 'succeeded' });
    await expectWholeAndSingle(platform.client, job);
    for (const [name, mode] of Object.entries({ '.': 0o700, 'api-key': 0o600, 'secrets.json': 0o600 })) {
      const found = await stat(join(home, name));
      expect([name, found.mode & 0o777, found.uid]).toEqual([name, mode, ROOT ? NOBODY : process.getuid?.()]);
    }
  } finally {
    await platform.stop();
    await removeHome(home);
  }
});

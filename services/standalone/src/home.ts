import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SERVICES } from '@luthier/contracts';
import { z } from 'zod';

/** Folders of an installation on one machine. */
export interface Home {
  dir: string;
  artifacts: string;
  nats: string;
  postgres: string;
  logs: string;
  /** Where a service keeps files of its own. */
  work(service: string): string;
  secrets: Secrets;
}

const secretsSchema = z.object({
  /** NATS password of each service, and of the standalone process itself (`admin`). */
  nats: z.record(z.string(), z.string()),
});
type Secrets = z.output<typeof secretsSchema>;

const randomSecret = (): string => randomBytes(24).toString('base64url');

/** Opens (at the first time makes) the home folder; only its owner can read it. */
export async function openHome(dir: string): Promise<Home> {
  const folder = (name: string): string => join(dir, name);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await closeToOthers(dir);
  for (const name of ['artifacts', 'nats', 'postgres', 'logs', 'work']) await mkdir(folder(name), { recursive: true });
  return {
    dir,
    artifacts: folder('artifacts'),
    nats: folder('nats'),
    postgres: folder('postgres'),
    logs: folder('logs'),
    work: (service) => join(dir, 'work', service),
    secrets: await openSecrets(folder('secrets.json')),
  };
}

/** Also a folder that was there before; passing through is left as it is (a database user may need it), looking is not. */
async function closeToOthers(dir: string): Promise<void> {
  const mode = (await stat(dir)).mode & 0o777;
  if ((mode & 0o066) === 0) return;
  await chmod(dir, mode & ~0o066).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EPERM') throw cause; // a mounted volume of somebody else: the secrets themselves stay closed
  });
}

async function openSecrets(path: string): Promise<Secrets> {
  const fresh: Secrets = {
    nats: Object.fromEntries([...SERVICES, 'admin'].map((name) => [name, randomSecret()])),
  };
  // Written beside and linked into place: two first starts at once end with one and the same file.
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await writeFile(draft, JSON.stringify(fresh, null, 2), { mode: 0o600, flag: 'wx', flush: true });
    await link(draft, path).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EEXIST') throw cause;
    });
  } finally {
    await rm(draft, { force: true });
  }
  const kept = secretsSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  return { nats: { ...fresh.nats, ...kept.nats } };
}

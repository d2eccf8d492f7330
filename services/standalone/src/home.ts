import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
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
export type Secrets = z.output<typeof secretsSchema>;

const randomSecret = (): string => randomBytes(24).toString('base64url');

/** Opens (at the first time makes) the home folder; only its owner can read it. */
export async function openHome(dir: string): Promise<Home> {
  const folder = (name: string): string => join(dir, name);
  await mkdir(dir, { recursive: true, mode: 0o700 });
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

async function openSecrets(path: string): Promise<Secrets> {
  const fresh: Secrets = {
    nats: Object.fromEntries([...SERVICES, 'admin'].map((name) => [name, randomSecret()])),
  };
  // Written beside and linked into place: two first starts at once end with one and the same file.
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, JSON.stringify(fresh, null, 2), { mode: 0o600 });
  await link(draft, path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EEXIST') throw cause;
  });
  await rm(draft, { force: true });
  const kept = secretsSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  return { nats: { ...fresh.nats, ...kept.nats } };
}

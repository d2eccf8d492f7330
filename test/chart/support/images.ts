import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { SERVICES } from '@luthier/contracts';
import { findNatsServer, findPostgres } from '@luthier/local-servers';
import { LISTEN_ON_POD } from '@luthier/testing/kube';
import type { ImageTable, LocalImage } from '@luthier/testing/kube';
import { CHART, valuesOf } from './helm.js';

const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));
const ours = (name: string): string => fileURLToPath(new URL(`./images/${name}`, import.meta.url));
const searched = (first: string): { PATH: string } => ({ PATH: `${first}:${process.env['PATH'] ?? '/usr/bin:/bin'}` });

/** What stands for the images that the chart names, each as its Dockerfile in deploy/ configures it. */
export async function localImages(tags: readonly string[]): Promise<ImageTable> {
  const { nats, database } = parse(await readFile(join(CHART, 'values.yaml'), 'utf8')) as Values;
  const { runs } = parse(await readFile(valuesOf('minimal'), 'utf8')) as MinimalValues;
  return {
    ...Object.fromEntries(tags.flatMap((tag) => partImages(tag))),
    [`luthier/runtime-node@${runs.runtimes['runtime-node'].digest}`]: runtimeImage,
    [nameOf(nats.image)]: { env: { ...searched(ours('nats')), NATS_SERVER: (await findNatsServer()).path } },
    [nameOf(database.image)]: await postgresImage(),
  };
}

interface Image {
  repository: string;
  tag: string;
}
interface Values {
  nats: { image: Image };
  database: { image: Image };
}
interface MinimalValues {
  runs: { runtimes: { 'runtime-node': { digest: string } } };
}
const nameOf = ({ repository, tag }: Image): string => `${repository}:${tag}`;

function partImages(tag: string): [string, LocalImage][] {
  const program = (folder: string, file: string): LocalImage => ({
    entrypoint: [process.execPath, join(PROJECT, folder, file)],
    env: { HOME: '/tmp', NODE_ENV: 'production', ...LISTEN_ON_POD },
    workingDir: join(PROJECT, folder),
  });
  const service = (name: string): [string, LocalImage] => [
    `luthier/${name}:${tag}`,
    program(join('services', name), 'dist/main.js'),
  ];
  return [
    ...[...SERVICES, 'cli'].map(service),
    [`luthier/web:${tag}`, program('web/.next/standalone/web', 'server.js')],
  ];
}

/** Runs name their command as it lies in the image. */
const runtimeImage: LocalImage = {
  env: { HOME: '/tmp', NODE_ENV: 'production', ...searched(dirname(process.execPath)) },
  workingDir: '/tmp',
  folders: Object.fromEntries(
    ['services', 'libs', 'node_modules'].map((name) => [`/luthier/${name}`, join(PROJECT, name)]),
  ),
};

async function postgresImage(): Promise<LocalImage> {
  const { programs, account } = await findPostgres();
  return {
    entrypoint: ['docker-entrypoint'],
    stopSignal: 'SIGINT',
    env: {
      ...searched(ours('postgres')),
      POSTGRES_PROGRAMS: programs,
      POSTGRES_UID: String(account?.uid ?? process.getuid?.()),
      POSTGRES_GID: String(account?.gid ?? process.getgid?.()),
    },
  };
}

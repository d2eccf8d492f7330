import { beforeAll, describe, expect, it } from '@jest/globals';
import { SERVICES } from '@luthier/contracts';
import { findNatsServer } from '@luthier/local-servers';
import { tempDir } from '@luthier/testing';
import { canReadImages } from '@luthier/testing/kube';
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT, readDockerfile, readImageFile } from './support/dockerfile.js';

const run = promisify(execFile);
const DEPLOY = join(ROOT, 'deploy');
const OPTIONS = { timeout: 60_000, env: { PATH: process.env['PATH'] } };

/** What the tests look at of a container, as compose-spec's loader writes it. */
interface Container {
  image: string;
  build?: { dockerfile: string; target?: string; args: Record<string, string> };
  environment?: Record<string, string>;
  volumes?: { target: string }[];
  tmpfs: string[];
  ports?: { host_ip: string }[];
  read_only: boolean;
  cap_drop: string[];
  security_opt: string[];
  restart: string;
  logging: { options: Record<string, string> };
  healthcheck?: { test: string[] };
  deploy?: { resources: { reservations: { devices: { driver: string; count: number }[] } } };
}

const withReader = (await canReadImages()) ? describe : describe.skip;

withReader('the compose file of one server', () => {
  let passwords: string;
  let containers: Record<string, Container>;
  const container = (name: string): Container => {
    const found = containers[name];
    if (!found) throw new Error(`there is no container ${name}`);
    return found;
  };

  beforeAll(async () => {
    passwords = join(await tempDir('compose'), '.env');
    await run('/bin/sh', [join(DEPLOY, 'secrets.sh'), passwords], OPTIONS);
    const project = await readImageFile('compose', 'deploy/compose.yaml', passwords);
    containers = (project as { services: Record<string, Container> }).services;
  });

  it('gets passwords once, for the eyes of their owner, and is refused without them by a word of what makes them', async () => {
    const made = await readFile(passwords, 'utf8');
    expect(new Set(made.match(/=p[0-9a-f]{48}$/gm)).size).toBe(SERVICES.length + 2);
    await run('/bin/sh', [join(DEPLOY, 'secrets.sh'), passwords], OPTIONS);
    expect(await readFile(passwords, 'utf8')).toBe(made);
    expect((await stat(passwords)).mode & 0o777).toBe(0o600);
    await expect(readImageFile('compose', 'deploy/compose.yaml', '/dev/null')).rejects.toThrow('run deploy/secrets.sh');
  });

  it('has every part of the platform', () => {
    const parts = [...SERVICES, 'web', 'nats', 'postgres', 'provision'];
    expect(Object.keys(containers).toSorted()).toEqual(parts.toSorted());
  });

  it('starts each again when it ends, with a read-only root, no rights, a bounded log and a look at its health', () => {
    for (const [name, { healthcheck, restart, ...one }] of Object.entries(containers)) {
      expect({ name, ...one }).toMatchObject({
        ...{ name, read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] },
        ...{ tmpfs: expect.arrayContaining(['/tmp']), logging: { options: { 'max-size': '10m', 'max-file': '3' } } },
      });
      // The one that has its end.
      const ends = name === 'provision';
      expect({ name, restart, healthy: healthcheck !== undefined }).toEqual({
        ...{ name, restart: ends ? 'on-failure' : 'unless-stopped', healthy: !ends },
      });
    }
  });

  it('is reached through the gateway alone, from this machine alone', () => {
    const open = Object.entries(containers).flatMap(([name, { ports = [] }]) =>
      ports.map(({ host_ip: address }) => ({ name, address })),
    );
    expect(open).toEqual([{ name: 'gateway', address: '127.0.0.1' }]);
  });

  it('builds its images from Dockerfiles and stages that there are, and names those of others by version', async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    for (const [name, { image, build }] of Object.entries(containers)) {
      if (!build) {
        expect({ name, image }).toEqual({ name, image: expect.stringMatching(/^(nats|postgres):\d/) });
        continue;
      }
      const { stages } = await readDockerfile(build.dockerfile.replace(/^deploy\//, ''));
      if (build.target !== undefined) expect(stages.map((stage) => stage.name)).toContain(build.target);
      const { SERVICE } = build.args;
      expect({ name, image, version: build.args['VERSION'] }).toEqual({
        ...{
          name,
          version,
          image: SERVICE === undefined ? expect.stringMatching(`:${version}$`) : `luthier/${SERVICE}:${version}`,
        },
      });
    }
  });

  it('sets only variables that the reference has', async () => {
    const reference = await readFile(join(ROOT, 'docs/reference/configuration.md'), 'utf8');
    const known = new Set([...reference.matchAll(/^\| `(LUTHIER_[A-Z_]+)`/gm)].map(([, name]) => name));
    const set = Object.values(containers).flatMap(({ environment = {} }) => Object.keys(environment));
    const ours = set.filter((name) => name.startsWith('LUTHIER_'));
    expect(ours.length).toBeGreaterThan(SERVICES.length);
    expect(ours.filter((name) => !known.has(name))).toEqual([]);
  });

  it.each(SERVICES)('%s: takes its settings, and has a volume at each folder that it writes to', async (service) => {
    const { environment = {}, volumes = [] } = container(service);
    const main = join(ROOT, 'services', service, 'dist/main.js');
    const { stdout } = await run(process.execPath, [main, '--print-config'], {
      ...OPTIONS,
      env: { ...OPTIONS.env, ...environment },
    });
    const taken = [...stdout.matchAll(/^([A-Z_]+)=/gm)].map(([, name = '']) => name);
    expect(taken).toEqual(expect.arrayContaining(Object.keys(environment)));
    const folders = ['LUTHIER_WORK_DIR', 'LUTHIER_ARTIFACTS'].flatMap(
      (name) => environment[name]?.replace('file://', '') ?? [],
    );
    expect(volumes.map(({ target }) => target).toSorted()).toEqual(folders.toSorted());
  });

  it('NATS: takes its configuration, with the password that each service has', async () => {
    const { environment = {} } = container('nats');
    for (const service of SERVICES)
      expect(container(service).environment).toMatchObject({
        ...{ LUTHIER_NATS_USER: service, LUTHIER_NATS_PASSWORD: environment[`${service.toUpperCase()}_PASSWORD`] },
      });
    const { path } = await findNatsServer();
    const { stderr } = await run(path, ['-t', '-c', join(DEPLOY, 'nats.conf')], {
      ...OPTIONS,
      env: { ...OPTIONS.env, ...environment },
    });
    expect(stderr).toContain('is valid');
  });

  it('trainer: has as many GPUs as its profile says', () => {
    const { environment = {}, deploy } = container('trainer');
    const [profile] = JSON.parse(environment['LUTHIER_TRAINER_PROFILES'] ?? '[]') as { devices: number }[];
    expect(deploy?.resources.reservations.devices).toMatchObject([{ driver: 'nvidia', count: profile?.devices }]);
  });
});

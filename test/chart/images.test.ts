import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient, unwrap } from '@luthier/api-client';
import { SERVICES } from '@luthier/contracts';
import { canReadImages, canRunPodProcesses } from '@luthier/testing/kube';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { submitJob, waitForEnd } from '../e2e/support/jobs.js';
import { ROOT } from './support/dockerfile.js';
import { ImagePlatform, apiKeyOf } from './support/image-platform.js';
import type { Answering } from './support/image-platform.js';

const IMAGES = [...SERVICES, 'cli'];
/** Packages grow with each version; nearly half as much again is something that was dragged in. */
const SIZE_TOLERANCE = 0.4;
const BUILD_TIMEOUT_MS = 15 * 60_000;
const TIMEOUT_MS = 6 * 60_000;

const reference = await readFile(join(ROOT, 'docs/reference/images.md'), 'utf8');
const withImages = (await canReadImages()) && (await canRunPodProcesses()) ? describe : describe.skip;

withImages('an image, started from what its Dockerfile builds, read-only, as a user that nobody knows', () => {
  let platform: ImagePlatform;
  const services = new Map<string, Answering>();
  const service = (name: string): Answering => {
    const found = services.get(name);
    if (!found) throw new Error(`${name} was not started`);
    return found;
  };

  beforeAll(async () => {
    platform = await ImagePlatform.start(IMAGES);
  }, BUILD_TIMEOUT_MS);
  afterAll(() => platform?.stop());

  it(
    'cli: says its version, makes the streams, and says what it is not',
    async () => {
      const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
      const start = platform.run('cli', { args: ['start'] });
      await expect(start).rejects.toThrow('The platform itself is not part of this installation');
      expect(await platform.run('cli', { args: ['--version'] })).toBe(`${version}\n`);
      expect(await platform.run('cli', { args: platform.provision })).toMatch(/^created LUTHIER_EVENTS$/m);
    },
    TIMEOUT_MS,
  );

  it(
    'every service: is alive and ready',
    async () => {
      const states = await Promise.all(
        SERVICES.map(async (name) => {
          const started = await platform.startService(name);
          services.set(name, started);
          const healthz = await platform.answerOf(started, '/healthz');
          return { name, healthz, readyz: await platform.answerOf(started, '/readyz') };
        }),
      );
      expect(states).toEqual(SERVICES.map((name) => ({ name, healthz: 200, readyz: 200 })));
    },
    TIMEOUT_MS,
  );

  it(
    'trainer-torch: takes the place of the trainer on a server without Kubernetes, and the main job ends well in its processes',
    async () => {
      expect(await service('trainer').container.stop()).toBe(0);
      // The runtime is the other one: it needs no Python.
      const runtime = join(platform.image('runtime-node').folders['/luthier'] ?? '', 'services/runtime-node');
      const command = ['node', '/luthier/runtime-node/dist/main.js'];
      const profiles = [{ name: 'local', runtime: 'runtime-node', command, memoryMib: 2_048, cpus: 1 }];
      const trainer = await platform.startService('trainer', 'trainer-torch', {
        environment: { LUTHIER_TRAINER_EXECUTOR: 'process', LUTHIER_TRAINER_PROFILES: JSON.stringify(profiles) },
        mounts: { '/luthier/runtime-node': runtime },
      });
      services.set('trainer', trainer);
      expect(await platform.answerOf(trainer, '/readyz')).toBe(200);
      const gateway = service('gateway');
      const client = createClient({ baseUrl: gateway.url, apiKey: await apiKeyOf(gateway) });
      const { id } = await submitJob(client, { steps: 10, heldOut: true });
      expect(await waitForEnd(client, id)).toMatchObject({ status: 'succeeded', phase: 'done', error: null });
      // That takes the model that registry brings, and the programs of llama.cpp that inference brings.
      const params = { path: { job_id: id } };
      const evaluation = await unwrap(client.GET('/api/v1/jobs/{job_id}/evaluation', { params }));
      expect(evaluation).toMatchObject({ state: 'completed', error: null });
    },
    TIMEOUT_MS,
  );

  it(
    'every service: ends in order',
    async () => {
      const ends = SERVICES.map(async (name) => ({ name, exitCode: await service(name).container.stop() }));
      expect(await Promise.all(ends)).toEqual(SERVICES.map((name) => ({ name, exitCode: 0 })));
    },
    TIMEOUT_MS,
  );

  it(
    'web: serves the page of sign-in without writing to its folder',
    async () => {
      const web = await platform.startWeb();
      expect(await platform.answerOf(web, '/sign-in')).toBe(200);
      await web.container.stop();
      expect(web.container.said).not.toMatch(/EROFS|EACCES/);
    },
    TIMEOUT_MS,
  );

  it(
    'runtime-node: says that it can train',
    async () => {
      const said = JSON.parse(await platform.run('runtime-node')) as {
        runtime: string;
        engines: { usable: boolean }[];
      };
      expect(said.runtime).toBe('runtime-node');
      expect(said.engines.map(({ usable }) => usable)).toContain(true);
    },
    TIMEOUT_MS,
  );

  it.each([...IMAGES, 'web', 'runtime-node'])('%s: is about as large as the reference says', (name) => {
    const row = new RegExp(`^\\| \`${name}\` +\\| \`Dockerfile[^|]+\\| +(\\d+) `, 'm').exec(reference);
    const [documented, sizeMib] = [Number(row?.[1]), Math.round(platform.image(name).sizeMib)];
    const near = Math.abs(sizeMib - documented) <= documented * SIZE_TOLERANCE;
    expect({ documented, sizeMib, near }).toEqual({ documented, sizeMib, near: true });
  });
});

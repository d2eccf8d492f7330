import { join } from 'node:path';
import { ROOT, configurationOf, readDockerfile } from './dockerfile.js';
import type { Dockerfile, Instruction, Stage } from './dockerfile.js';
import { StoreLacks, copyContext, runStep, sizeMib, stepsOf } from './image-build.js';
import type { BuildPlace } from './image-build.js';

export interface BuiltImage {
  configuration: ReturnType<typeof configurationOf>;
  /** Path in the image -> folder of this machine. */
  folders: Readonly<Record<string, string>>;
  sizeMib: number;
}

/**
 * Builds the `images` of services, and those of `web`, `runtime-node` and `trainer-torch` (without Python), below `dir`, by
 * what their Dockerfiles say. What is the same for several is done once: the packages and the build of all services, from
 * which the others are deployed too. The dashboard is the one that is built already.
 */
export async function buildImages(dir: string, images: readonly string[]): Promise<Map<string, BuiltImage>> {
  try {
    return await build(join(dir, 'stored'), images, true);
  } catch (cause) {
    if (!(cause instanceof StoreLacks)) throw cause;
    return build(join(dir, 'fetched'), images, false);
  }
}

async function build(dir: string, images: readonly string[], offline: boolean): Promise<Map<string, BuiltImage>> {
  const built = new Map<string, BuiltImage>();
  const place = (image: string): BuildPlace => ({ source: join(dir, 'source'), luthier: join(dir, image), offline });
  const keep = async (
    image: string,
    dockerfile: Dockerfile,
    folders: Record<string, string>,
    target?: string,
  ): Promise<void> => {
    let size = 0;
    for (const folder of Object.values(folders)) size += await sizeMib(folder);
    built.set(image, { configuration: configurationOf(dockerfile, target), folders, sizeMib: size });
  };

  const service = await readDockerfile('Dockerfile.service');
  const stage = firstOf(service);
  const ofEach = stage.instructions.find(({ values = {} }) => 'SERVICE' in values)?.line ?? 0;
  await copyContext(stage, place(''));
  for (const step of stepsOf(stage).filter(({ line }) => line < ofEach)) await runStep(step, place('shared'));
  await twoAtATime(images, async (image) => {
    const { luthier } = place(image);
    for (const step of stepsOf(stage).filter(({ line }) => line > ofEach))
      await runStep(step, place(image), { SERVICE: image });
    await keep(image, service, { '/luthier/app': join(luthier, 'app') });
  });

  const runtime = await readDockerfile('Dockerfile.runtime-node');
  const { luthier } = place('runtime-node');
  for (const step of deploymentsOf(firstOf(runtime))) await runStep(step, place('runtime-node'));
  await keep('runtime-node', runtime, { '/luthier': luthier });

  const torch = await readDockerfile('Dockerfile.runtime-torch');
  for (const name of ['build', 'build-trainer'])
    for (const step of deploymentsOf(torch.stages.find((one) => one.name === name)))
      await runStep(step, place('trainer-torch'));
  const services = join(place('trainer-torch').luthier, 'services');
  await keep('trainer-torch', torch, { '/luthier/services': services }, 'trainer');

  await keep('web', await readDockerfile('Dockerfile.web'), { '/luthier': join(ROOT, 'web/.next/standalone') });
  return built;
}

/** Those steps of a stage that need no more than what is built already. */
const deploymentsOf = (stage: Stage | undefined): Instruction[] =>
  stage === undefined ? [] : stepsOf(stage).filter(({ command = [] }) => command.join(' ').includes(' deploy '));

function firstOf({ stages: [stage] }: Dockerfile): Stage {
  if (!stage) throw new Error('the Dockerfile has no stage');
  return stage;
}

async function twoAtATime<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const waiting = [...all];
  const worker = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) await work(one);
  };
  await Promise.all([worker(), worker()]);
}

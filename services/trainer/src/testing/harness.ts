import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { jetstream } from '@nats-io/jetstream';
import { openArtifactStore } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import { RUN_STREAM, newId, runRequest, runStreamMessage } from '@luthier/contracts';
import type { RunLine, RunNews, RunSpec, RunStatus, RunStreamMessage } from '@luthier/contracts';
import { RunsBucket, provision } from '@luthier/messaging';
import { createLogger, loadConfig } from '@luthier/service-kit';
import type { RunningService } from '@luthier/service-kit';
import { startNats, tempDir, waitFor } from '@luthier/testing';
import type { TestNats, WaitOptions } from '@luthier/testing';
import { startTrainer, trainerConfigSchema } from '../index.js';
import type { TrainerConfig } from '../index.js';

export interface Behaviour {
  steps: number;
  stepMs: number;
  checkpointEverySteps: number;
  /** `result`, `exit:<status>`, `failed:<code>` or `kill`. */
  end: string;
  ignoreStop?: boolean;
  checkpointBytes?: number;
  losses?: Record<number, number>;
  /** Says this often that it lives. */
  heartbeatMs?: number;
}

const FAKE_RUNTIME = fileURLToPath(new URL('fake-runtime.mjs', import.meta.url));
const RUNNER = fileURLToPath(new URL('../../../runner/dist/main.js', import.meta.url));
export const TRAINER = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A NATS server, a store and a work folder: what a trainer needs, and a run's other side (what training does). */
export class TrainerHarness {
  readonly runs: RunsBucket;

  private constructor(
    readonly nats: TestNats,
    readonly dir: string,
    readonly connection: Awaited<ReturnType<TestNats['connect']>>,
    readonly artifactsUrl: string,
    readonly store: ArtifactStore,
  ) {
    this.runs = new RunsBucket(connection);
  }

  /** @param artifactsUrl where artifacts are kept, instead of a folder. */
  static async start(artifactsUrl?: string): Promise<TrainerHarness> {
    const nats = await startNats();
    const connection = await nats.connect();
    await provision(connection);
    const dir = await tempDir('trainer');
    const url = artifactsUrl ?? pathToFileURL(join(dir, 'artifacts')).href;
    return new TrainerHarness(nats, dir, connection, url, await openArtifactStore(url));
  }

  /** The folder of artifacts that are files. */
  get artifactsDir(): string {
    return join(this.dir, 'artifacts');
  }
  get workDir(): string {
    return join(this.dir, 'work');
  }
  runFolder(runId: string, attempt = 1): string {
    return join(this.workDir, 'runs', runId, String(attempt));
  }

  /** The settings as a process of its own gets them. */
  environment(over: Record<string, string> = {}): Record<string, string> {
    const profile = { name: 'local-cpu', runtime: 'fake', command: [process.execPath, FAKE_RUNTIME], slots: 4 };
    return {
      LUTHIER_NATS_URL: this.nats.url,
      LUTHIER_ARTIFACTS: this.artifactsUrl,
      LUTHIER_WORK_DIR: this.workDir,
      LUTHIER_LOG_LEVEL: 'warn',
      LUTHIER_TRAINER_RUNNER_COMMAND: JSON.stringify([process.execPath, '--max-old-space-size=96', RUNNER]),
      LUTHIER_TRAINER_PROFILES: JSON.stringify([profile]),
      LUTHIER_TRAINER_DELIVERY_TIMEOUT_MS: '3000',
      ...over,
    };
  }

  startTrainer(over: Partial<TrainerConfig> = {}): Promise<RunningService> {
    const config = loadConfig(trainerConfigSchema, this.environment(), over);
    return startTrainer(config, { logger: createLogger({ service: 'trainer', level: 'silent' }) });
  }

  /** Stores a request whose model folder tells the fake runtime what to do. */
  async makeSpec(behaviour: Partial<Behaviour> = {}, over: Partial<RunSpec> = {}): Promise<RunSpec> {
    const runId = newId('run');
    const whole: Behaviour = { steps: 4, stepMs: 5, checkpointEverySteps: 2, end: 'result', ...behaviour };
    const model = await this.storeModel(JSON.stringify(whole));
    const owner = { kind: 'job' as const, id: newId('job') };
    const request = JSON.stringify(requestOf(owner, model));
    const requestUri = `artifact://runs/${runId}/request.json`;
    await this.store.put(requestUri, request);
    return {
      runId,
      owner,
      ...{ attempt: 1, generation: 1, desired: 'running', stopGraceSeconds: 10, checkpointRequest: 0 },
      ...{ requestUri, requestSha256: sha256(request), runtime: 'fake', profile: 'local-cpu', queue: 'internal' },
      ...{ priority: 0, deadlineSeconds: 600 },
      resources: { nodes: 1, devicesPerNode: 0, deviceMemoryMib: 0, cpu: 1, memoryMib: 64, scratchMib: 64 },
      ...over,
    };
  }

  async status(runId: string): Promise<RunStatus | undefined> {
    return (await this.runs.get('status', runId))?.value;
  }

  waitForStatus(runId: string, fits: (status: RunStatus) => boolean, options: WaitOptions = {}): Promise<RunStatus> {
    let last: RunStatus | undefined;
    return waitFor(
      async () => {
        last = await this.status(runId);
        return last && fits(last) ? last : undefined;
      },
      { intervalMs: 20, what: `a status of ${runId}`, ...options },
    ).catch((cause: unknown) => {
      throw new Error(`${String(cause)}; last seen ${JSON.stringify(last)}`, { cause });
    });
  }

  waitForEnd(runId: string, attempt = 1): Promise<RunStatus> {
    return this.waitForStatus(runId, (status) => status.attempt === attempt && status.phase === 'ended');
  }

  waitForStep(runId: string, step: number): Promise<RunLine> {
    return waitFor(
      async () => (await this.messages(runId)).find(({ event }) => event.type === 'step' && event.step >= step),
      { intervalMs: 30, what: `step ${step} of ${runId}` },
    );
  }

  waitForCheckpoint(runId: string): Promise<RunLine> {
    return waitFor(async () => (await this.messages(runId)).find(({ event }) => event.type === 'checkpoint-stored'), {
      intervalMs: 30,
      what: `a checkpoint of ${runId}`,
    });
  }

  /** What the run itself says on the run stream, in its order. */
  async messages(runId: string): Promise<RunLine[]> {
    return (await this.streamed(runId)).flatMap((message) => ('incarnation' in message ? [message] : []));
  }

  /** What the cluster says of the run there. */
  async news(runId: string): Promise<RunNews[]> {
    return (await this.streamed(runId)).flatMap((message) => ('incarnation' in message ? [] : [message]));
  }

  private async streamed(runId: string): Promise<RunStreamMessage[]> {
    const stream = await jetstream(this.connection).streams.get(RUN_STREAM);
    const subject = `luthier.v1.run.${runId}.>`;
    const info = await stream.info(false, { subjects_filter: subject });
    const count = Object.values(info.state.subjects ?? {}).reduce((sum, one) => sum + one, 0);
    if (count === 0) return [];
    const consumer = await jetstream(this.connection).consumers.get(RUN_STREAM, { filter_subjects: subject });
    const found: RunStreamMessage[] = [];
    for await (const message of await consumer.fetch({ max_messages: count, expires: 30_000 })) {
      found.push(runStreamMessage.parse(message.json()));
      if (found.length === count) break;
    }
    return found;
  }

  /** Pids recorded for an attempt. */
  async pids(runId: string, attempt = 1): Promise<{ runner: number; runtime: number }> {
    return waitFor(
      async () => {
        const read = async (name: string): Promise<number> =>
          (JSON.parse(await readFile(join(this.runFolder(runId, attempt), name), 'utf8')) as { pid: number }).pid;
        return { runner: await read('runner.json'), runtime: await read('runtime.json') };
      },
      { what: 'the records of runner and runtime' },
    );
  }

  async stop(): Promise<void> {
    await this.nats.stop();
  }

  private async storeModel(behaviour: string): Promise<{ uri: string; sha256: string }> {
    const uri = `artifact://models/${newId('model')}/weights`;
    await this.store.put(`${uri}/behaviour.json`, behaviour);
    const file = { name: 'behaviour.json', sizeBytes: Buffer.byteLength(behaviour), sha256: sha256(behaviour) };
    const manifest = JSON.stringify({ version: 1, files: [file] });
    await this.store.put(`${uri}/artifact-manifest.json`, manifest);
    return { uri, sha256: sha256(manifest) };
  }
}

function requestOf(owner: { kind: 'job'; id: string }, model: { uri: string; sha256: string }): unknown {
  return runRequest.parse({
    version: 1,
    owner,
    mode: 'train',
    model,
    data: {},
    method: { type: 'supervised' },
    tuning: { type: 'full' },
    hyperparameters: {
      ...{ epochs: 1, maxSteps: null, globalBatch: 1, learningRate: 0.1, schedule: 'constant', warmupRatio: 0 },
      ...{ weightDecay: 0, adamBeta1: 0.9, adamBeta2: 0.99, adamEpsilon: 1e-8, maxGradNorm: 1, evaluationSteps: null },
    },
    parallelism: { nodes: 1, devicesPerNode: 0 },
    checkpointing: { everySteps: 2, keepLast: 2 },
    limits: { memoryMib: 100, cpu: 1, deadlineSeconds: 600 },
    seed: 1,
  });
}

/** Living processes that have `path` open: the possible writers of a run. */
export async function holdersOf(path: string): Promise<number[]> {
  const { readlink } = await import('node:fs/promises');
  const holders: number[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const targets = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
    if (targets.includes(path)) holders.push(Number(pid));
  }
  return holders;
}

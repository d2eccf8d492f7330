import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, EXIT, classifyEnd, codeOfStorageError, exitOfErrorCode, moreTelling } from '@luthier/contracts';
import type {
  AttachAnswer,
  Classification,
  RankEnds,
  RunOutcome,
  RunRequest,
  RuntimeEvent,
  RuntimeSpec,
} from '@luthier/contracts';
import { BoundedLog } from './bounded-log.js';
import { CheckpointUploader } from './checkpoint-uploader.js';
import { EndpointClient } from './endpoint-client.js';
import { EventForwarder } from './event-forwarder.js';
import { identityOf } from './process-identity.js';
import { reportOutcome, storeArtifact, storeRecords } from './finish.js';
import { writeLastWords } from './last-words.js';
import type { FinishOptions } from './finish.js';
import { readRankEnds } from './rank-ends.js';
import { Inputs } from './inputs.js';
import { ObjectStore } from './object-store.js';
import { readOomKills } from './oom-kills.js';
import { Requests } from './requests.js';
import type { RunnerConfig } from './runner.config.js';
import { RuntimeProcess } from './runtime-process.js';
import type { RuntimeExit } from './runtime-process.js';
import { takeRunLock } from './run-lock.js';
import { writeAtomically } from './files.js';

const LOCK_TIMEOUT_MS = 10_000;
const TERM_GRACE_MS = 3_000;
/** How long nothing may come of an input. */
const INPUT_PATIENCE_MS = 10 * 60_000;

/** What the runtime has said so far that decides the run. */
interface Said {
  step: number;
  failed?: RuntimeEvent & { type: 'failed' };
  result?: RuntimeEvent & { type: 'result' };
}

/** One run from attach to outcome. `execute` returns the status to exit with. */
export class Run {
  readonly requests = new Requests();
  private readonly log: BoundedLog;
  private readonly endpoint: EndpointClient;
  private readonly objects: ObjectStore;
  private readonly said: Said = { step: 0 };
  private runtime: RuntimeProcess | undefined;
  /** Set when the runtime has ended: from then on delivery has an end. */
  private deliveryDeadline = Number.POSITIVE_INFINITY;
  private outputDir = '';
  private request: RunRequest | undefined;

  constructor(private readonly config: RunnerConfig) {
    const echo = config.echoLog ? process.stdout : undefined;
    this.log = new BoundedLog(join(config.runFolder, 'log.txt'), config.logBytes, echo);
    this.endpoint = new EndpointClient({
      url: config.endpointUrl,
      runId: config.runId,
      attachToken: config.attachToken,
      node: config.node,
      onOrders: ({ stop, checkpointRequest }) => {
        this.requests.checkpoint(checkpointRequest);
        if (stop) this.requests.stop();
      },
    });
    this.objects = new ObjectStore(this.endpoint, INPUT_PATIENCE_MS);
    this.requests.on('stop', () => void this.touch('stop'));
    this.requests.on('checkpoint', () => void this.touch('checkpoint-now'));
  }

  async execute(): Promise<number> {
    const { runFolder } = this.config;
    await mkdir(runFolder, { recursive: true });
    const lock = await takeRunLock(join(runFolder, 'lock'), LOCK_TIMEOUT_MS);
    if (!lock) throw new AppError('run.fenced', 'Another writer of this run is alive');
    const self = await identityOf(process.pid);
    await writeAtomically(join(runFolder, 'runner.json'), JSON.stringify(self));
    const attached = await this.attach();
    this.outputDir = join(runFolder, `output-${attached.incarnation}`);
    await mkdir(this.outputDir, { recursive: true });
    const outcome = await this.runRuntime(attached, lock.fd);
    this.log.note(`ends: ${outcome.code ?? 'done'}`);
    await writeLastWords(this.config.terminationLog, outcome);
    return outcome.code === undefined ? EXIT.done : (exitOfErrorCode(outcome.code) ?? 1);
  }

  /** Leaves at once: the runtime gets SIGTERM, then SIGKILL; nothing more is stored. */
  async abandon(): Promise<void> {
    if (this.runtime?.running) await this.runtime.end(TERM_GRACE_MS);
  }

  private attach(): Promise<AttachAnswer> {
    const { attempt, podUid, attachTimeoutMs } = this.config;
    const deadline = Date.now() + attachTimeoutMs;
    return this.endpoint.persistently(
      () => this.endpoint.attach(attempt, podUid),
      () => deadline,
      this.requests.leaving,
    );
  }

  private async runRuntime(attached: AttachAnswer, lockFd: number): Promise<RunOutcome> {
    const { runId, attempt } = this.config;
    const uploads = this.uploader(attached);
    const forwarder = new EventForwarder({
      endpoint: this.endpoint,
      outputDir: this.outputDir,
      runFolder: this.config.runFolder,
      onEvent: (event) => this.hear(event, uploads),
      deadlineMs: () => this.deliveryDeadline,
      signal: this.requests.leaving,
    });
    const beats = this.beat();
    const forwarding = forwarder.run().then(
      () => undefined,
      (cause: unknown) => {
        this.leaveWhenFenced(cause);
        return cause ?? new Error('the events were not delivered');
      },
    );
    let end: Classification;
    try {
      end = await this.train(attached, lockFd);
    } catch (cause) {
      end = faultOf(cause);
    }
    this.requests.leaving.throwIfAborted();
    this.deliveryDeadline = Date.now() + this.config.deliveryTimeoutMs;
    forwarder.drain();
    const undelivered = await forwarding;
    if (undelivered !== undefined && end.code === undefined) end = faultOf(undelivered);
    end = this.refine(end, await readRankEnds(this.outputDir));
    const head = { attempt, incarnation: attached.incarnation, lastSeq: forwarder.lastSeq() };
    const outcome = await this.store(`artifact://runs/${runId}/${attempt}/${attached.incarnation}`, uploads, end, head);
    beats.abort();
    await forwarder.close();
    this.endpoint.close();
    return outcome;
  }

  /** Inputs, spec, process; resolves with how it ended. */
  private async train(attached: AttachAnswer, lockFd: number): Promise<Classification> {
    const { runFolder, runtimeCommand, runtimeEnvironment } = this.config;
    const brought = await this.bringInputs(attached).catch((cause: unknown) => {
      if (!this.requests.stopping) throw cause;
      return undefined;
    });
    if (!brought || this.requests.stopping) {
      return { code: 'runtime.interrupted', message: 'The run was stopped before training began.' };
    }
    const { request, spec } = brought;
    this.request = request;
    const specFile = join(runFolder, 'spec.json');
    await writeAtomically(specFile, JSON.stringify(spec), { sync: true });
    const oomKillsBefore = await readOomKills();
    this.requests.leaving.throwIfAborted();
    this.runtime = await RuntimeProcess.start({
      command: runtimeCommand,
      args: [request.mode, specFile],
      runFolder,
      environment: runtimeEnvironment,
      lockFd,
      log: this.log,
    });
    if (this.requests.leaving.aborted) await this.abandon();
    this.exit = await this.runtime.exited;
    this.oomKilled = (await readOomKills()) > oomKillsBefore;
    return { message: '' }; // judged when its last lines are read
  }
  private async bringInputs(attached: AttachAnswer): Promise<{ request: RunRequest; spec: RuntimeSpec }> {
    const { runId, attempt, runFolder } = this.config;
    const inputs = new Inputs(this.objects, join(runFolder, 'inputs'), this.requests.ending);
    const request = await inputs.request(attached);
    const run = { runId, attempt, outputDir: this.outputDir };
    return { request, spec: await inputs.runtimeSpec(request, attached, run) };
  }

  private exit: RuntimeExit | undefined;
  private oomKilled = false;

  /** With all lines read: what the end of the runtime means. */
  private refine(end: Classification, ranks: RankEnds | undefined): Classification {
    if (end.code !== undefined || !this.exit) return end;
    const { failed, result } = this.said;
    const { node, machine } = this.config;
    return classifyEnd({
      ...this.exit,
      ...(failed && { failed }),
      ...(ranks && { ranks }),
      ...(machine !== undefined && { machine }),
      // Only the first node's runtime says the result.
      hasResult: result !== undefined || node > 0,
      oomKilled: this.oomKilled,
    });
  }

  private async store(
    baseUri: string,
    uploads: CheckpointUploader,
    end: Classification,
    head: Pick<RunOutcome, 'attempt' | 'incarnation' | 'lastSeq'>,
  ): Promise<RunOutcome> {
    const { endpoint, outputDir, said } = this;
    const options: FinishOptions = {
      endpoint,
      store: this.objects,
      outputDir,
      runFolder: this.config.runFolder,
      baseUri,
      signal: this.requests.leaving,
      node: this.config.node,
      deadlineMs: () => this.deliveryDeadline,
    };
    const result = said.result?.result;
    let judged = end;
    let artifact: RunOutcome['artifact'];
    let eventFiles: string[] = [];
    try {
      await uploads.settle();
      if (end.code === undefined && result?.mode === 'train')
        artifact = await storeArtifact(options, result.artifactDir);
      eventFiles = await storeRecords(options);
    } catch (cause) {
      this.log.note(`storing failed: ${String(cause)}`);
      // A fault of the run itself says more than the one met while storing what it left.
      if (end.code === undefined || end.code === 'runtime.interrupted') judged = faultOf(cause);
    }
    const outcome: RunOutcome = {
      ...head,
      ...judged,
      step: Math.max(said.step, uploads.newest?.step ?? 0),
      ...(result && judged.code === undefined && { result }),
      ...(uploads.newest && { checkpoint: uploads.newest }),
      ...(artifact && { artifact }),
      eventFiles,
    };
    await reportOutcome(options, outcome);
    return outcome;
  }

  private hear(event: RuntimeEvent, uploads: CheckpointUploader): void {
    if ('step' in event) this.said.step = Math.max(this.said.step, event.step);
    if (event.type === 'evaluation') uploads.noteEvaluation(event.step, event.loss);
    // What a rehearsal saves is to be read back here, not to be gone on from.
    if (event.type === 'checkpoint' && this.request?.mode !== 'rehearse') uploads.add(event.step, event.dir);
    if (event.type === 'result') this.said.result = event;
    if (event.type === 'failed') this.said.failed = moreTelling(this.said.failed, event);
  }

  private uploader(attached: AttachAnswer): CheckpointUploader {
    const { runId, attempt } = this.config;
    return new CheckpointUploader({
      endpoint: this.endpoint,
      store: this.objects,
      outputDir: this.outputDir,
      baseUri: `artifact://runs/${runId}/${attempt}/${attached.incarnation}`,
      deadlineMs: () => this.deliveryDeadline,
      signal: this.requests.leaving,
      nodes: () => this.request?.parallelism.nodes ?? 1,
      note: (text) => this.log.note(text),
    });
  }

  /** Heartbeats carry orders back; a missed one is made good by the next. */
  private beat(): AbortController {
    const ended = new AbortController();
    const loop = async (): Promise<void> => {
      while (!ended.signal.aborted && !this.requests.leaving.aborted) {
        await this.endpoint
          .heartbeat(this.said.step, (await this.runtime?.memoryMib()) ?? 0)
          .catch((cause: unknown) => this.leaveWhenFenced(cause));
        await sleep(this.config.heartbeatIntervalMs, undefined, { signal: ended.signal, ref: false }).catch(
          () => undefined,
        );
      }
    };
    void loop();
    return ended;
  }

  private leaveWhenFenced(cause: unknown): void {
    if (!(cause instanceof AppError) || cause.code !== 'run.fenced') return;
    this.log.note('a newer attempt has taken over');
    this.requests.leave(cause.message);
  }

  /** A request to the runtime is a file in its output folder. */
  private async touch(name: string): Promise<void> {
    if (this.outputDir === '') return;
    await writeFile(join(this.outputDir, name), '').catch((cause: unknown) =>
      this.log.note(`${name}: ${String(cause)}`),
    );
  }
}

function faultOf(cause: unknown): Classification {
  const code = codeOfStorageError(cause);
  const error = cause instanceof AppError ? cause : new AppError(code, undefined, { cause });
  return { code, message: error.message, hint: error.hint };
}

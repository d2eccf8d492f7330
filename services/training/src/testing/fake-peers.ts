import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { NatsConnection } from '@nats-io/transport-node';
import type { z } from 'zod';
import { FileArtifactStore, readArtifact } from '@luthier/artifacts';
import {
  AppError,
  evaluateJob,
  fitRun,
  getInventory,
  getModel,
  getValidation,
  importModel,
  listCatalog,
  locateRun,
  newId,
  prepareDataset,
  registerModel,
  runRequest,
} from '@luthier/contracts';
import type {
  DatasetRecord,
  EvaluationRecord,
  FitAnswer,
  Inventory,
  ModelRecord,
  RequestDefinition,
  RowIssue,
  RunOutcome,
  RunSpec,
  RunStatus,
  RuntimeEvent,
  ValidationReport,
  RequestOf,
} from '@luthier/contracts';
import { MessageBus, RunsBucket } from '@luthier/messaging';
import { FAKE_REHEARSAL, fakeResult, fakeStep } from './fake-run.js';

const SHA = 'a'.repeat(64);
const FITS: FitAnswer = {
  ...{ canEverFit: true, fitsNow: true, reason: 'fits', message: '', params: {}, deviceProducts: [], nearest: null },
};
const NOW = '2026-01-01T00:00:00.000Z';

/** Answers a request as Nest would, checked against the contract on both sides. */
function answer<Req extends z.ZodType, Res extends z.ZodType>(
  connection: NatsConnection,
  definition: RequestDefinition<Req, Res>,
  handle: (request: z.output<Req>) => z.input<Res>,
): void {
  connection.subscribe(definition.subject, {
    callback: (_error, message) => {
      const { id, data } = message.json<{ id: string; data: unknown }>();
      try {
        const response = definition.response.parse(handle(definition.request.parse(data)));
        message.respond(JSON.stringify({ id, response, isDisposed: true }));
      } catch (cause) {
        message.respond(JSON.stringify({ id, err: AppError.from(cause).toReply(), isDisposed: true }));
      }
    },
  });
}

/** How the next attempt of a run goes. Steps count from the resume step + 1. */
export interface AttemptScript {
  /** What its saving lasts for. */
  saving?: Promise<void>;
  /** Last step that is made; undefined: all of them. */
  untilStep?: number;
  checkpointSteps?: number[];
  /** Nothing that it says reaches the run stream; it is in the stored events file. */
  lost?: boolean;
  /** Steps whose lines do not reach the run stream, but are in the stored events file. */
  lostSteps?: number[];
  /** Absent: success. */
  code?: RunOutcome['code'];
  reason?: RunStatus['reason'];
  /** Waits for a stop before it ends. */
  untilStopped?: boolean;
  noOutcome?: boolean;
}

/** Datasets, registry, evaluation and trainer over a real NATS, as small as the contracts allow. */
export class FakePeers {
  readonly bus: MessageBus;
  readonly bucket: RunsBucket;
  readonly store: FileArtifactStore;
  readonly base: ModelRecord;
  readonly registrations: string[] = [];
  /** Jobs whose evaluation was asked for, with the model that each was compared with. */
  readonly evaluations = new Map<string, string>();
  readonly models = new Map<string, ModelRecord>();
  /** What was asked to be prepared. */
  readonly prepared: RequestOf<typeof prepareDataset>[] = [];
  readonly reports = new Map<string, ValidationReport>();
  readonly script: AttemptScript[] = [];
  /** Jobs in the order in which their attempts began. */
  readonly begun: string[] = [];
  /** What each attempt was asked to do. */
  readonly modes: string[] = [];
  /** Highest number of attempts at work at the same time. */
  mostAtOnce = 0;
  totalSteps = 10;
  rows = 80;
  longestRowTokens = 100;
  datasetState: DatasetRecord['state'] = 'ready';
  evaluationState: EvaluationRecord['state'] = 'completed';
  verdict: EvaluationRecord['verdict'] = 'better';
  inventory: Inventory;
  /** What the place says of every run that is thought of. */
  fit: Partial<FitAnswer> = {};
  /** Where every attempt is. */
  nodes: string[] = [];
  readonly shapes: z.output<typeof fitRun.request>[] = [];
  private readonly ending = new AbortController();
  private readonly taken = new Set<string>();
  private readonly checkpoints = new Map<string, { step: number; uri: string; sha256: string }>();
  private readonly specs = new Map<string, RunSpec>();
  private atWork = 0;
  private wake: (() => void)[] = [];

  constructor(
    private readonly connection: NatsConnection,
    artifactsDir: string,
  ) {
    this.bus = new MessageBus(connection);
    this.bucket = new RunsBucket(connection);
    this.store = new FileArtifactStore(artifactsDir);
    this.base = this.model('base', 'tiny-chat');
    this.inventory = {
      observedAt: NOW,
      countedRuns: [],
      profiles: [
        {
          name: 'local-cpu',
          runtime: 'node',
          device: '2 CPU cores',
          devices: 0,
          cpus: 2,
          memoryMib: 4096,
          freeMemoryMib: 4096,
          slots: 1,
          capabilities: {
            runtime: 'node',
            version: '1',
            modes: ['train'],
            architectures: ['LlamaForCausalLM'],
            methods: ['supervised'],
            tunings: ['lora'],
            precisions: ['fp32'],
            engines: [],
          },
        },
      ],
    };
  }

  async start(): Promise<void> {
    const { connection } = this;
    answer(connection, getValidation, ({ fileId }) => this.report(fileId));
    answer(connection, prepareDataset, (asked) => {
      this.prepared.push(asked);
      return this.dataset(asked);
    });
    answer(connection, getModel, ({ model }) => {
      const found = [this.base, ...this.models.values()].find(({ id, name }) => id === model || name === model);
      if (!found) throw new AppError('model.not-found');
      const base = found.files?.form === 'adapter' ? this.base : null;
      return { model: found, base };
    });
    answer(connection, importModel, () => this.base);
    answer(connection, listCatalog, () => ({ entries: [] }));
    answer(connection, registerModel, ({ jobId, suffix, files, baseModelId, gives = 'answers' }) => {
      this.registrations.push(jobId);
      const name = `ft:tiny-chat:luthier:${suffix ?? ''}:${jobId.slice(-8)}`;
      const made = this.models.get(jobId) ?? { ...this.model('tuned', name), gives, files, jobId, baseModelId };
      this.models.set(jobId, made);
      return made;
    });
    answer(connection, evaluateJob, ({ jobId, modelId, baseModelId }) => {
      this.evaluations.set(jobId, baseModelId);
      return {
        id: `eval_${jobId.slice(-20)}`,
        jobId,
        modelId,
        baseModelId,
        state: this.evaluationState,
        createdAt: NOW,
        finishedAt: null,
        progress: { done: 0, total: 0 },
        base: null,
        tuned: null,
        suites: {},
        samples: [],
        verdict: this.verdict,
        verdictReason: 'As was found.',
        error:
          this.evaluationState === 'failed'
            ? { code: 'internal' as const, message: 'No answers came back.', hint: '' }
            : null,
      };
    });
    answer(connection, getInventory, () => this.inventory);
    answer(connection, fitRun, (shape) => {
      this.shapes.push(shape);
      return { answers: shape.profiles.map((profile) => ({ profile, fit: { ...FITS, ...this.fit } })) };
    });
    answer(connection, locateRun, () => ({ nodes: this.nodes }));
    void this.train();
    await connection.flush();
  }

  stop(): void {
    this.ending.abort();
    for (const wake of this.wake) wake();
  }

  file(patch: Partial<ValidationReport> = {}): string {
    const fileId = newId('file');
    this.reports.set(fileId, {
      fileId,
      state: 'done',
      format: 'chat',
      rowKind: 'examples',
      itemFields: [],
      rows: this.rows,
      usableRows: this.rows,
      errorCount: 0,
      warningCount: 0,
      issues: [],
      issueCounts: {},
      characters: 8_000,
      finishedAt: NOW,
      ...patch,
    });
    return fileId;
  }

  unusableFile(): string {
    const issue: RowIssue = {
      line: 3,
      field: 'messages',
      code: 'missing-field',
      severity: 'error',
      message: 'The field "messages" is missing.',
      hint: 'Add it.',
    };
    return this.file({ usableRows: 0, errorCount: 3, issues: [issue] });
  }

  report(fileId: string): ValidationReport {
    const report = this.reports.get(fileId);
    if (!report) throw new AppError('file.not-found');
    return report;
  }

  private dataset({ role, fileIds, cutoffLength, kind }: RequestOf<typeof prepareDataset>): DatasetRecord {
    const key = [role, ...fileIds, cutoffLength, kind].join(' ');
    const id = `ds-${createHash('sha256').update(key).digest('hex').slice(0, 20)}`;
    return {
      id,
      role,
      state: this.datasetState,
      createdAt: NOW,
      kind,
      sources: [],
      rows: this.rows,
      tokens: this.rows * 50,
      trainedTokens: kind === 'prompts' ? 0 : this.rows * 20,
      longestRowTokens: Math.min(this.longestRowTokens, cutoffLength),
      longestPassTokens: Math.min(this.longestRowTokens, cutoffLength),
      cutoffLength,
      artifact: { uri: `artifact://datasets/${id}`, sha256: SHA },
      error: null,
    };
  }

  private model(kind: ModelRecord['kind'], name: string): ModelRecord {
    const id = newId('model');
    return {
      id,
      name,
      kind,
      state: 'ready',
      createdAt: NOW,
      title: name,
      license: null,
      languages: [],
      shape: {
        architecture: 'LlamaForCausalLM',
        hiddenSize: 576,
        intermediateSize: 1536,
        layers: 30,
        heads: 9,
        kvHeads: 3,
        headDim: 64,
        vocabularySize: 49152,
        tiedEmbeddings: true,
        contextLength: 8192,
        parameters: 134_515_008,
        weightBytes: 269_030_016,
      },
      files: { form: 'whole', weights: { uri: `artifact://models/${id}/weights`, sha256: SHA } },
      sizeBytes: 1,
      gives: 'answers',
      baseModelId: null,
      jobId: null,
      source: null,
      sourcesTried: [],
      proof: 'unproven',
      proofReason: null,
      error: null,
    };
  }

  /** A trainer: one process set per (run, attempt), never two for the same. */
  private async train(): Promise<void> {
    for await (const change of this.bucket.watch('spec', { signal: this.ending.signal })) {
      const specs =
        change.type === 'list'
          ? change.entries.map(({ value }) => value)
          : change.type === 'put'
            ? [change.entry.value]
            : [];
      for (const spec of specs) {
        this.specs.set(spec.runId, spec);
        for (const wake of this.wake.splice(0)) wake();
        const key = `${spec.runId}:${spec.attempt}`;
        if (spec.closed || this.taken.has(key)) continue;
        this.taken.add(key);
        void this.attempt(spec, this.script.shift() ?? {});
      }
    }
  }

  private async attempt(spec: RunSpec, script: AttemptScript): Promise<void> {
    const { runId, attempt } = spec;
    this.begun.push(spec.owner.id);
    this.atWork += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atWork);
    const status = (patch: Partial<RunStatus>): Promise<number> =>
      this.bucket.put('status', {
        runId,
        attempt,
        incarnation: 1,
        observedGeneration: spec.generation,
        phase: 'running',
        reason: 'process-running',
        message: '',
        objectName: `ft-${attempt}`,
        objectUid: `uid-${attempt}`,
        pods: [],
        startedAt: NOW,
        ...patch,
      });
    if (spec.desired === 'stopped') {
      this.atWork -= 1;
      await status({ phase: 'ended', reason: 'not-started', incarnation: 0 });
      return;
    }
    await status({ phase: 'starting', reason: 'process-starting' });
    await status({});
    const request = runRequest.parse(JSON.parse((await readArtifact(this.store, spec.requestUri)).toString('utf8')));
    this.modes.push(request.mode);
    const resumeStep = this.checkpoints.get(runId)?.step ?? 0;
    const lines: RuntimeEvent[] = [];
    const say = async (event: RuntimeEvent, lost = script.lost): Promise<void> => {
      lines.push(event);
      if (!lost) await this.bus.publishRunMessage({ runId, attempt, incarnation: 1, event });
    };
    const head = () => ({ seq: lines.length + 1, rank: 0, time: new Date().toISOString() });
    await say({ type: 'started', ...head(), resumeStep, worldSize: 1, device: 'cpu' });
    await say({ type: 'phase', ...head(), phase: 'training' });
    const last = script.untilStep ?? (request.mode === 'rehearse' ? 2 : this.totalSteps);
    for (let step = resumeStep + 1; step <= last; step += 1) {
      const lost = script.lost ?? script.lostSteps?.includes(step);
      await say(fakeStep({ step, totalSteps: this.totalSteps, attempt }, head()), lost);
      if (script.checkpointSteps?.includes(step)) await this.checkpoint(runId, attempt, step);
    }
    if (script.untilStopped) await this.untilStopped(runId);
    else if (!script.code && request.mode === 'train') await say({ type: 'phase', ...head(), phase: 'saving' });
    await script.saving;
    if (this.ending.signal.aborted) return;
    const eventFile = `artifact://runs/${runId}/${attempt}/1/events.0.jsonl.gz`;
    await this.store.put(eventFile, gzipSync(lines.map((line) => `${JSON.stringify(line)}\n`).join('')));
    const code = script.untilStopped ? 'runtime.interrupted' : script.code;
    const checkpoint = this.checkpoints.get(runId);
    const outcome: RunOutcome = {
      attempt,
      incarnation: 1,
      ...(code && { code }),
      message: code ? `Ended with ${code}.` : 'done',
      step: last,
      ...(!code && {
        ...(request.mode === 'rehearse'
          ? { result: FAKE_REHEARSAL }
          : {
              result: fakeResult(last),
              artifact: { uri: `artifact://runs/${runId}/${attempt}/1/artifact`, sha256: SHA },
            }),
      }),
      ...(checkpoint && { checkpoint }),
      lastSeq: { '0': lines.length },
      eventFiles: [eventFile],
    };
    this.atWork -= 1;
    await status({
      phase: 'ended',
      reason: script.reason ?? (code ? (script.untilStopped ? 'stopped' : 'failed') : 'succeeded'),
      endedAt: new Date().toISOString(),
      ...(!script.noOutcome && { outcome }),
    });
  }

  private async checkpoint(runId: string, attempt: number, step: number): Promise<void> {
    const stored = { step, uri: `artifact://runs/${runId}/${attempt}/1/checkpoint-${step}`, sha256: SHA };
    this.checkpoints.set(runId, stored);
    await this.bus.publishRunMessage({
      runId,
      attempt,
      incarnation: 1,
      event: { type: 'checkpoint-stored', time: new Date().toISOString(), ...stored },
    });
  }

  private async untilStopped(runId: string): Promise<void> {
    while (this.specs.get(runId)?.desired !== 'stopped' && !this.ending.signal.aborted) {
      await new Promise<void>((resolve) => this.wake.push(resolve));
    }
  }
}

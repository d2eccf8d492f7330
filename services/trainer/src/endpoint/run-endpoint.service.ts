import { createHash } from 'node:crypto';
import type { z } from 'zod';
import {
  AppError,
  attachAnswer,
  checkpointAnswer,
  eventsAnswer,
  listObjectsAnswer,
  objectUrlsAnswer,
  outcomeAnswer,
  runRequest,
} from '@luthier/contracts';
import type {
  AttachAnswer,
  Orders,
  RunOutcome,
  RunRequest,
  RunSpec,
  RunStatus,
  RuntimeEvent,
  checkpointReport,
  objectUrlsRequest,
} from '@luthier/contracts';
import { partsOf, readArtifact } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import type { RunsBucket } from '@luthier/messaging';
import type { Checkpoints } from './checkpoints.js';
import type { IncarnationKey, RunPublisher } from './run-publisher.js';
import type { RunTokens } from './run-tokens.js';

export interface RunListener {
  /** The runtime has said that it has begun. */
  onTraining(key: IncarnationKey): void;
  /** The runner's last word; kept by the listener when the store could not take it. */
  onOutcome(key: IncarnationKey, outcome: RunOutcome, node: number): void;
}

export interface RunEndpointParts {
  runs: Pick<RunsBucket, 'get'>;
  store: ArtifactStore;
  tokens: RunTokens;
  publisher: RunPublisher;
  checkpoints: Checkpoints;
  listener: RunListener;
}

const MAX_CACHED_REQUESTS = 64;
const MAX_LISTED = 10_000;
const URL_LIFETIME_SECONDS = 15 * 60;

/** What runners may ask, and whether the one asking is still the current writer. Stateless but for caches. */
export class RunEndpointService {
  private readonly requests = new Map<string, RunRequest>();

  constructor(private readonly parts: RunEndpointParts) {}

  /** @throws AppError `run.not-attached` until the status lists this pod, `run.fenced` when a newer attempt is there. */
  async attach(runId: string, token: string, attempt: number, podUid: string): Promise<z.input<typeof attachAnswer>> {
    const { tokens, runs, checkpoints } = this.parts;
    tokens.checkAttach(token, runId, attempt);
    const spec = (await this.entry(() => runs.get('spec', runId)))?.value;
    const status = (await this.entry(() => runs.get('status', runId)))?.value;
    if ((spec && spec.attempt > attempt) || (status && status.attempt > attempt)) throw new AppError('run.fenced');
    if (!spec || status?.attempt !== attempt || status.objectUid === undefined) throw new AppError('run.not-attached');
    if (status.phase === 'ended') throw new AppError('run.fenced');
    if (!status.pods.includes(podUid)) throw new AppError('run.not-attached');
    const { incarnation } = status;
    const resumeFrom = await checkpoints.newest(runId);
    const answer: AttachAnswer = {
      incarnation,
      token: tokens.issue({ runId, attempt, incarnation }),
      requestUri: spec.requestUri,
      requestSha256: spec.requestSha256,
      ...(resumeFrom && { resumeFrom }),
    };
    return answer;
  }

  async heartbeat(runId: string, token: string): Promise<Orders> {
    const { key, spec, status, renew } = await this.current(runId, token, true);
    return { ...ordersOf(spec, status), ...(renew && { token: this.parts.tokens.issue(key) }) };
  }

  async events(runId: string, token: string, events: readonly RuntimeEvent[]): Promise<z.input<typeof eventsAnswer>> {
    const { key, spec, status } = await this.current(runId, token);
    const acknowledged = await this.entry(() => this.parts.publisher.publish(key, events));
    for (const event of events) {
      if (event.type === 'started') this.parts.listener.onTraining(key);
      if (event.type === 'evaluation') this.parts.checkpoints.noteEvaluation(runId, event.step, event.loss);
    }
    return { acknowledged, orders: ordersOf(spec, status) };
  }

  async urls(
    runId: string,
    token: string,
    { operation, uris, sizesBytes = [] }: z.output<typeof objectUrlsRequest>,
  ): Promise<z.input<typeof objectUrlsAnswer>> {
    const { key, spec } = await this.current(runId, token);
    for (const uri of uris) {
      if (operation === 'write') requireWritable(uri, key);
      else await this.requireReadable(uri, spec);
    }
    const urlOf = async (uri: string, i: number): Promise<{ uri: string; url: string }> => {
      const sizeBytes = sizesBytes[i];
      const options = { lifetimeSeconds: URL_LIFETIME_SECONDS, ...(sizeBytes !== undefined && { sizeBytes }) };
      return { uri, url: await this.parts.store.urlFor(uri, operation, options) };
    };
    return { urls: await Promise.all(uris.map(urlOf)) };
  }

  async list(runId: string, token: string, prefix: string): Promise<z.input<typeof listObjectsAnswer>> {
    const { spec } = await this.current(runId, token);
    await this.requireReadable(prefix, spec);
    const { items } = await this.parts.store.list(prefix, { limit: MAX_LISTED });
    return { objects: items.map(({ uri, sizeBytes }) => ({ uri, sizeBytes })) };
  }

  async checkpoint(
    runId: string,
    token: string,
    report: z.output<typeof checkpointReport>,
  ): Promise<z.input<typeof checkpointAnswer>> {
    const { key, spec } = await this.current(runId, token);
    const committed = await this.entry(() => this.parts.checkpoints.report(key, report, spec.resources.nodes));
    if (!committed) return { committed: false };
    const { uri, sha256 } = committed;
    const { checkpointing } = await this.request(spec);
    await this.parts.checkpoints.prune(runId, checkpointing.keepLast);
    return { committed: true, uri, sha256 };
  }

  async outcome(
    runId: string,
    token: string,
    outcome: RunOutcome,
    node: number,
  ): Promise<z.input<typeof outcomeAnswer>> {
    const { key } = await this.current(runId, token);
    if (outcome.attempt !== key.attempt || outcome.incarnation !== key.incarnation) throw new AppError('run.fenced');
    this.parts.listener.onOutcome(key, outcome, node);
    const uri = `artifact://runs/${runId}/${key.attempt}/${key.incarnation}/${outcomeNameOf(node)}`;
    try {
      await this.parts.store.put(uri, JSON.stringify(outcome));
      return { stored: true };
    } catch (cause) {
      // It reaches the status all the same; a runner that waits for a full disk would wait for ever.
      if (cause instanceof AppError && cause.code === 'disk.full') return { stored: false };
      throw cause;
    }
  }

  /** @throws AppError `run.fenced` for an older attempt or incarnation, `run.not-attached` when a key is missing. */
  private async current(
    runId: string,
    token: string,
    mayBeExpired = false,
  ): Promise<{ key: IncarnationKey; spec: RunSpec; status: RunStatus; renew: boolean }> {
    const { renew, ...key } = this.parts.tokens.check(token, runId, { mayBeExpired });
    const spec = (await this.entry(() => this.parts.runs.get('spec', runId)))?.value;
    const status = (await this.entry(() => this.parts.runs.get('status', runId)))?.value;
    if (spec && spec.attempt > key.attempt) throw new AppError('run.fenced');
    if (
      status &&
      (status.attempt > key.attempt || (status.attempt === key.attempt && status.incarnation > key.incarnation))
    ) {
      throw new AppError('run.fenced');
    }
    if (!spec || status?.attempt !== key.attempt) throw new AppError('run.not-attached');
    if (status.phase === 'ended') throw new AppError('run.fenced');
    return { key, spec, status, renew };
  }

  private async requireReadable(uri: string, spec: RunSpec): Promise<void> {
    partsOf(uri); // no `..`, nothing that leaves its folder
    if (uri === spec.requestUri) return;
    const own = `artifact://runs/${spec.runId}/`;
    if (uri.startsWith(own) && /^\d+\/\d+\/checkpoint-\d+(\/|$)/.test(uri.slice(own.length))) return;
    const { model, adapter, data } = await this.request(spec);
    const inputs = [model, adapter, data.train, data.heldOut].filter((ref) => ref !== undefined);
    if (inputs.some((ref) => uri === ref.uri || uri.startsWith(`${ref.uri}/`))) return;
    throw new AppError('request.invalid', 'This run may not read that', { param: 'uris' });
  }

  /** The immutable request, verified. */
  private async request({ requestUri, requestSha256 }: RunSpec): Promise<RunRequest> {
    const known = this.requests.get(requestSha256);
    if (known) return known;
    const bytes = await this.entry(() => readArtifact(this.parts.store, requestUri, 1024 * 1024));
    if (createHash('sha256').update(bytes).digest('hex') !== requestSha256) {
      throw new AppError('config.bad', 'The run request is not what was promised');
    }
    const request = runRequest.parse(JSON.parse(bytes.toString()));
    const [oldest] = this.requests.keys();
    if (this.requests.size >= MAX_CACHED_REQUESTS && oldest !== undefined) this.requests.delete(oldest);
    this.requests.set(requestSha256, request);
    return request;
  }

  /** What is out of reach here is a matter of waiting for the runner. */
  private async entry<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof AppError) throw cause;
      throw new AppError('storage.unreachable', undefined, { cause });
    }
  }
}

/** A stop is asked for by training, or by the trainer at the run's deadline: then the status alone says so. */
function ordersOf(spec: RunSpec, { phase }: RunStatus): Orders {
  const { desired, stopReason, stopGraceSeconds, checkpointRequest } = spec;
  const ownStop = desired === 'running' && phase === 'stopping';
  return {
    checkpointRequest,
    ...(ownStop && { stop: { reason: 'preempt', graceSeconds: stopGraceSeconds } }),
    ...(desired === 'stopped' && { stop: { reason: stopReason ?? 'cancel', graceSeconds: stopGraceSeconds } }),
  };
}

function requireWritable(uri: string, { runId, attempt, incarnation }: IncarnationKey): void {
  partsOf(uri);
  const own = `artifact://runs/${runId}/${attempt}/${incarnation}/`;
  // These are this service's own: their existence means something.
  const reserved = /\/(checkpoint|outcome(\.\d+)?|node-\d+)\.json$/.test(uri);
  if (!uri.startsWith(own) || reserved) {
    throw new AppError('request.invalid', 'This run may not write there', { param: 'uris' });
  }
}

/** The first node's is the run's own; the others' lie beside it. */
const outcomeNameOf = (node: number): string => (node === 0 ? 'outcome.json' : `outcome.${node}.json`);

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunOutcome, RunSpec, StopReason } from '@luthier/contracts';
import type { IncarnationKey } from '../endpoint/run-publisher.js';
import type { RunListener } from '../endpoint/run-endpoint.service.js';
import { RunExecutor } from '../runs/run-executor.js';
import type { AttemptKey, Collected, Observation, PlacedObject } from '../runs/run-executor.js';
import type { OutcomeCollector } from './outcome-collector.js';
import { identityOf, killRecorded } from './process-identity.js';
import { RunFolder, attemptsOf } from './run-folder.js';
import { waitUntilUnlocked } from './run-lock.js';

export interface ProcessExecutorOptions {
  runsDir: string;
  /** The runner's command; its last argument is its program. */
  runnerCommand: readonly string[];
  /** Command of a profile's runtime; undefined when there is no such profile. */
  runtimeCommandOf: (profile: string) => readonly string[] | undefined;
  endpointUrl: () => string;
  attachToken: (runId: string, attempt: number) => string;
  collector: OutcomeCollector;
  /** Added to the runner's environment. */
  runnerEnvironment: Readonly<Record<string, string | undefined>>;
}

/** How the lock's holders may take to die after their SIGKILL, or after the end of their stdin. */
const UNLOCK_TIMEOUT_MS = 30_000;

interface Live {
  key: AttemptKey;
  child: ChildProcess;
  placed: PlacedObject;
  startedAt: Date;
  training: boolean;
  exited: boolean;
  /** This executor ended it on purpose. */
  killed: boolean;
}

/** Runs as local processes: one runner each, leader of its own process group, on a control pipe. */
export class ProcessExecutor extends RunExecutor implements RunListener {
  private readonly live = new Map<string, Live>();
  /** Outcomes reported by runners, for when the disk could not take them. */
  private readonly reported = new Map<string, RunOutcome>();
  private readonly listeners = new Set<(runId: string) => void>();

  constructor(private readonly options: ProcessExecutorOptions) {
    super();
  }

  override onChange(listener: (runId: string) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  override async observe(key: AttemptKey): Promise<Observation> {
    const known = this.live.get(nameOf(key));
    if (known && !known.exited) {
      return { state: 'live', ...known.placed, training: known.training };
    }
    if (known) return { state: 'ended' };
    const folder = this.folder(key);
    if (!(await folder.exists())) return { state: 'absent' };
    return { state: (await folder.endedAt()) ? 'ended' : 'orphaned' };
  }

  override async create(spec: RunSpec, objectName: string): Promise<PlacedObject> {
    const key = { runId: spec.runId, attempt: spec.attempt };
    const known = this.live.get(nameOf(key));
    if (known && !known.exited) return known.placed;
    const folder = this.folder(key);
    await this.endLeftovers(folder);
    await folder.recreate();
    const podUid = `${objectName}-${randomUUID()}`;
    const startedAt = new Date();
    const child = await this.spawnRunner(spec, folder, podUid);
    const identity = child.pid === undefined ? undefined : await identityOf(child.pid);
    const placed = { objectUid: identity ? `${identity.pid}:${identity.startTime}` : podUid, pods: [podUid] };
    this.watch(key, child, placed, startedAt);
    // The runner waits for the status that names it, so nothing can have begun before this record is on the disk.
    if (identity) {
      await folder.writeRecord({ ...placed, podUid, runner: identity, startedAt: startedAt.toISOString() });
    }
    return placed;
  }

  /** Locally the runner itself waits until the status names it. */
  override async release(): Promise<void> {
    return Promise.resolve();
  }

  /** An attempt has one set of processes. */
  override async noteIncarnation(): Promise<void> {
    return Promise.resolve();
  }

  override async stop(key: AttemptKey, reason: StopReason): Promise<void> {
    this.send(key, { type: 'stop', reason });
    return Promise.resolve();
  }

  override async checkpoint(key: AttemptKey, request: number): Promise<void> {
    this.send(key, { type: 'checkpoint', request });
    return Promise.resolve();
  }

  override async kill(key: AttemptKey): Promise<void> {
    const known = this.live.get(nameOf(key));
    if (known && !known.exited) {
      known.killed = true;
      killGroup(known.child);
      await exitOf(known.child);
    }
    await this.endLeftovers(this.folder(key));
  }

  override async collect(key: AttemptKey): Promise<Collected> {
    const known = this.live.get(nameOf(key));
    const folder = this.folder(key);
    await this.kill(key);
    if (await folder.exists()) {
      // A full disk must not keep the end of a run from being told.
      await folder.markEnded(known ? new Date() : ((await folder.lastSign()) ?? new Date())).catch(() => undefined);
    }
    const collected = await this.options.collector.collect(key, folder, {
      reported: this.reported.get(nameOf(key)),
      exitCode: known?.child.exitCode ?? null,
      signal: known?.child.signalCode ?? null,
      interrupted: !known || known.killed,
    });
    return collected;
  }

  /** What another attempt has left in its folder ends with the run's. */
  override hasOthers(): boolean {
    return false;
  }

  override async remove(runId: string): Promise<void> {
    for (const attempt of await attemptsOf(this.options.runsDir, runId)) await this.kill({ runId, attempt });
    for (const [name, { key }] of this.live) if (key.runId === runId) this.live.delete(name);
    for (const name of this.reported.keys()) if (name.startsWith(`${runId}:`)) this.reported.delete(name);
    await rm(join(this.options.runsDir, runId), { recursive: true, force: true });
  }

  override async runningMs(runId: string): Promise<number> {
    let sumMs = 0;
    for (const attempt of await attemptsOf(this.options.runsDir, runId)) {
      const folder = this.folder({ runId, attempt });
      const record = await folder.readRecord();
      if (record) sumMs += ((await folder.endedAt()) ?? new Date()).getTime() - Date.parse(record.startedAt);
    }
    return sumMs;
  }

  /** All of them are on this machine. */
  override nodesOf(): readonly string[] {
    return [];
  }

  override liveRuns(): readonly string[] {
    return [...this.live.values()].filter(({ exited }) => !exited).map(({ key }) => key.runId);
  }

  onTraining(key: IncarnationKey): void {
    const known = this.live.get(nameOf(key));
    if (!known || known.training) return;
    known.training = true;
    this.tell(key.runId);
  }

  onOutcome(key: IncarnationKey, outcome: RunOutcome): void {
    this.reported.set(nameOf(key), outcome);
  }

  /**
   * Lets every run save a checkpoint and leave, then ends what has not. The endpoint must still be serving; what is left
   * is found by the next start.
   */
  async shutDown(graceMs: number): Promise<void> {
    const running = [...this.live.values()].filter(({ exited }) => !exited);
    for (const { key } of running) this.send(key, { type: 'stop', reason: 'preempt' });
    const left = Promise.all(running.map(({ child }) => exitOf(child)));
    const inTime = await Promise.race([left.then(() => true), sleep(graceMs, false, { ref: false })]);
    if (inTime) return;
    for (const { child } of running) child.stdin?.end();
    await Promise.race([left, sleep(5_000, undefined, { ref: false })]);
    for (const one of running) if (!one.exited) killGroup(one.child);
  }

  private async spawnRunner(spec: RunSpec, folder: RunFolder, podUid: string): Promise<ChildProcess> {
    const { runnerCommand, runtimeCommandOf, endpointUrl, attachToken, runnerEnvironment } = this.options;
    const [file = process.execPath, ...args] = runnerCommand;
    const log = await open(folder.runnerLog, 'a');
    try {
      const child = spawn(file, args, {
        cwd: folder.path,
        detached: true,
        stdio: ['pipe', log.fd, log.fd],
        env: {
          ...runnerEnvironment,
          LUTHIER_RUN_ID: spec.runId,
          LUTHIER_RUN_ATTEMPT: String(spec.attempt),
          LUTHIER_RUN_POD_UID: podUid,
          LUTHIER_RUN_ENDPOINT: endpointUrl(),
          LUTHIER_RUN_ATTACH_TOKEN: attachToken(spec.runId, spec.attempt),
          LUTHIER_RUN_FOLDER: folder.path,
          LUTHIER_RUN_RUNTIME_COMMAND: JSON.stringify(runtimeCommandOf(spec.profile) ?? []),
        },
      });
      child.stdin?.on('error', () => undefined); // it has ended: seen by its exit
      await once(child, 'spawn');
      return child;
    } finally {
      await log.close();
    }
  }

  private watch(key: AttemptKey, child: ChildProcess, placed: PlacedObject, startedAt: Date): void {
    const entry: Live = { key, child, placed, startedAt, training: false, exited: false, killed: false };
    this.live.set(nameOf(key), entry);
    const ended = (): void => {
      if (entry.exited) return;
      entry.exited = true;
      this.tell(key.runId);
    };
    child.on('exit', ended);
    if (child.exitCode !== null || child.signalCode !== null) ended();
  }

  private async endLeftovers(folder: RunFolder): Promise<void> {
    for (const identity of await folder.processes()) await killRecorded(identity);
    await waitUntilUnlocked(folder.lock, UNLOCK_TIMEOUT_MS);
  }

  private send(key: AttemptKey, order: object): void {
    const known = this.live.get(nameOf(key));
    if (known && !known.exited) known.child.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  private tell(runId: string): void {
    for (const listener of this.listeners) listener(runId);
  }

  private folder(key: AttemptKey): RunFolder {
    return new RunFolder(this.options.runsDir, key);
  }
}

const nameOf = ({ runId, attempt }: AttemptKey): string => `${runId}:${attempt}`;

async function exitOf(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

/** The runner and all it has started. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    child.kill('SIGKILL');
  }
}

import { mkdir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessExecutor } from './process-executor.js';
import { takeWorkDirLock } from './run-lock.js';

const LOCK_TIMEOUT_MS = 15_000;

/** A folder of this machine in which runs are made. One trainer at a time decides there: the one that holds its lock. */
export class ProcessPlace {
  private readonly ended = new AbortController();
  private deciding: Promise<void> | undefined;

  private constructor(
    readonly executor: ProcessExecutor,
    private readonly lock: FileHandle,
    private readonly stopGraceMs: number,
  ) {}

  /** @throws Error when another trainer works in the same folder. */
  static async open(
    { workDir, runsDir, stopGraceMs }: { workDir: string; runsDir: string; stopGraceMs: number },
    executor: ProcessExecutor,
  ): Promise<ProcessPlace> {
    await mkdir(runsDir, { recursive: true });
    const lock = await takeWorkDirLock(join(workDir, 'trainer.lock'), LOCK_TIMEOUT_MS);
    return new ProcessPlace(executor, lock, stopGraceMs);
  }

  start(decide: (signal: AbortSignal) => Promise<void>): void {
    this.deciding = decide(this.ended.signal);
  }

  /** Lets runs save what they have; the next start tells how they ended. */
  async stop(): Promise<void> {
    this.ended.abort();
    await this.deciding;
    await this.executor.shutDown(this.stopGraceMs);
  }

  /** Last of all: from now on another trainer may work here. */
  async close(): Promise<void> {
    await this.lock.close();
  }
}

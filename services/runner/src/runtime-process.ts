import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { AppError } from '@luthier/contracts';
import type { BoundedLog } from './bounded-log.js';
import { identityOf } from './process-identity.js';
import { writeAtomically } from './files.js';

export interface RuntimeExit {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
}

export interface RuntimeOptions {
  command: readonly string[];
  args: readonly string[];
  runFolder: string;
  environment: Readonly<Record<string, string | undefined>>;
  /** Descriptor of the run's lock: the runtime holds it as long as it lives. */
  lockFd: number;
  log: BoundedLog;
}

/** Name of the record that lets an executor find a runtime whose runner is gone. */
const RECORD_FILE = 'runtime.json';

/** The training process. Its stdin stays open and empty: at its end the runtime knows that the runner is gone. */
export class RuntimeProcess {
  readonly exited: Promise<RuntimeExit>;

  private constructor(private readonly child: ChildProcess) {
    this.exited = once(child, 'close').then(([exitCode, signal]) => ({
      exitCode: exitCode as number | null,
      signal: signal as NodeJS.Signals | null,
    }));
  }

  /** @throws AppError `config.bad` when the command cannot be started. */
  static async start(options: RuntimeOptions): Promise<RuntimeProcess> {
    const [file, ...rest] = options.command;
    if (file === undefined) throw new AppError('config.bad', 'The profile names no runtime command');
    const child = spawn(file, [...rest, ...options.args], {
      cwd: options.runFolder,
      env: { ...options.environment },
      stdio: ['pipe', 'pipe', 'pipe', options.lockFd],
    });
    child.stdin?.on('error', () => undefined); // it has ended: seen by `exited`
    child.stdout?.pipe(options.log, { end: false });
    child.stderr?.pipe(options.log, { end: false });
    const runtime = new RuntimeProcess(child);
    await once(child, 'spawn').catch((cause: unknown) => {
      throw new AppError('config.bad', `The runtime cannot be started: ${file}`, { cause });
    });
    const identity = child.pid === undefined ? undefined : await identityOf(child.pid);
    if (identity) await writeAtomically(join(options.runFolder, RECORD_FILE), JSON.stringify(identity));
    return runtime;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Ends it without a checkpoint: SIGTERM, and SIGKILL after `graceMs`. */
  async end(graceMs: number): Promise<void> {
    this.child.kill('SIGTERM');
    const gone = await Promise.race([this.exited.then(() => true), sleep(graceMs, false, { ref: false })]);
    if (!gone) this.child.kill('SIGKILL');
    await this.exited;
  }

  /** Resident memory; 0 where it cannot be read. */
  async memoryMib(): Promise<number> {
    const status = await readFile(`/proc/${this.child.pid ?? 0}/status`, 'utf8').catch(() => '');
    return Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1_024);
  }
}

import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { ContainerLog } from './container-log.js';
import type { ContainerRun, Exit } from './container-run.js';
import type { MountNamespace } from './mount-namespace.js';

const MESSAGE_BYTES = 4_096;
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGTERM: 15,
  SIGKILL: 9,
  SIGINT: 2,
  SIGSEGV: 11,
  SIGABRT: 6,
};
/** What nsenter says when there is no such program. */
const NOT_STARTED = /^nsenter: failed to execute (.+): (.+)$/m;

interface ProcessOptions {
  namespace: MountNamespace;
  command: readonly string[];
  environment: Readonly<Record<string, string>>;
  /** Where the container writes its last words, on this machine. */
  messageFile: string;
  /** Tells its first process to go. @default SIGTERM */
  stopSignal?: NodeJS.Signals;
  /** Takes the end of the log when there are none and the container failed. */
  messageFromLog: boolean;
}

/** A container's command as a process of this machine. */
export class ProcessContainer implements ContainerRun {
  readonly log = new ContainerLog();
  readonly ended: Promise<Exit>;
  private readonly child: ChildProcessByStdio<null, Readable, Readable>;

  constructor(private readonly options: ProcessOptions) {
    const { namespace, command, environment } = options;
    const [file, args] = namespace.enter(command);
    this.child = spawn(file, args, { env: { ...environment }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of ['stdout', 'stderr'] as const)
      this.child[stream].setEncoding('utf8').on('data', (chunk: string) => this.log.write(stream, chunk));
    if (this.child.pid !== undefined) namespace.guard(this.child.pid);
    this.ended = new Promise((resolve) => {
      this.child.once('error', (cause) => this.log.write('stderr', `${cause.message}\n`));
      this.child.once('exit', () => {
        // Its first process ends a container: whatever it started goes too, and with it the last holder of the pipes.
        namespace.close();
      });
      this.child.once('close', (code, signal) => {
        this.log.end();
        void this.exitOf(code ?? 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 0)).then(resolve);
      });
    });
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  terminate(): void {
    this.signal(this.options.stopSignal ?? 'SIGTERM', (pid) => pid);
  }

  kill(): void {
    this.signal('SIGKILL', (pid) => -pid);
  }

  exec(command: readonly string[], timeoutMs: number): Promise<number> {
    const [file, args] = this.options.namespace.enter(command);
    return new Promise((resolve) => {
      const child = spawn(file, args, { env: { ...this.options.environment }, stdio: 'ignore', timeout: timeoutMs });
      child.once('error', () => resolve(126));
      child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGTERM' ? 124 : 137)));
    });
  }

  private signal(name: NodeJS.Signals, target: (pid: number) => number): void {
    const { pid, exitCode, signalCode } = this.child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    try {
      process.kill(target(pid), name);
    } catch {
      // it has ended in between
    }
  }

  private async exitOf(exitCode: number): Promise<Exit> {
    const tail = this.log.tail();
    const [, program, why] = (exitCode === 126 || exitCode === 127 ? NOT_STARTED.exec(tail) : null) ?? [];
    if (program !== undefined) return { exitCode: 128, reason: 'StartError', message: `exec: "${program}": ${why}` };
    const written = await readFile(this.options.messageFile).catch(() => Buffer.alloc(0));
    const message = written.subarray(0, MESSAGE_BYTES).toString();
    const fromLog = message === '' && exitCode !== 0 && this.options.messageFromLog;
    return { exitCode, message: fromLog ? tail : message };
  }
}

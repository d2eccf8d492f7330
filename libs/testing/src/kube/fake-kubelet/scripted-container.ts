import { ContainerLog } from './container-log.js';
import type { ContainerRun, Exit } from './container-run.js';
import type { ScriptedFate } from './fate.js';

/** A container of which only the script is played. */
export class ScriptedContainer implements ContainerRun {
  readonly log = new ContainerLog();
  readonly ended: Promise<Exit>;
  private finish: (exit: Exit) => void = () => undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly fate: Exclude<ScriptedFate, { type: 'wait' }>) {
    this.ended = new Promise((resolve) => {
      this.finish = (exit) => {
        clearTimeout(this.timer);
        this.log.end();
        resolve(exit);
      };
    });
    for (const line of fate.log ?? []) this.log.write('stdout', `${line}\n`);
    if (fate.type !== 'end') return;
    const { exitCode, reason, message, afterMs = 200 } = fate;
    const exit = { exitCode, ...(reason !== undefined && { reason }), ...(message !== undefined && { message }) };
    this.timer = setTimeout(() => this.finish(exit), afterMs);
  }

  terminate(): void {
    const { onTerminate = { exitCode: 143 } } = this.fate;
    if (onTerminate === 'ignored') return;
    const { afterMs = 0, ...exit } = onTerminate;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.finish(exit), afterMs);
  }

  kill(): void {
    this.finish({ exitCode: 137 });
  }

  exec(): Promise<number> {
    return Promise.resolve(this.fate.ready === false ? 1 : 0);
  }
}

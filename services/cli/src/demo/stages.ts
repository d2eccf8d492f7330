const BAR_WIDTH = 24;
const INDENT = '  ';

export interface StageTiming {
  name: string;
  seconds: number;
}

/** Prints one line a stage, a live line while it goes on where there is a terminal, and keeps the times. */
export class Stages {
  readonly timings: StageTiming[] = [];
  private liveLength = 0;
  private lastPlainMs = 0;

  constructor(
    private readonly out: NodeJS.WriteStream,
    private readonly plainEveryMs = 10_000,
  ) {}

  /** Runs one stage; `work` returns the sentence that its line ends with. */
  async run<T>(name: string, title: string, work: (stage: Stage) => Promise<{ line: string; value: T }>): Promise<T> {
    const startedMs = performance.now();
    const stage: Stage = {
      live: (text) => this.live(`${INDENT}… ${title}: ${text}`),
      detail: (text) => this.print(`${INDENT}  ${text}`),
    };
    stage.live('');
    try {
      const { line, value } = await work(stage);
      const seconds = (performance.now() - startedMs) / 1_000;
      this.timings.push({ name, seconds });
      this.print(`${INDENT}✓ ${title}: ${line} (${formatSeconds(seconds)})`);
      return value;
    } catch (thrown) {
      this.print(`${INDENT}✗ ${title}`);
      throw thrown;
    }
  }

  print(line: string): void {
    this.clearLive();
    this.out.write(`${line}\n`);
  }

  private live(text: string): void {
    if (this.out.isTTY) {
      const line = text.slice(0, (this.out.columns || 100) - 1);
      this.out.write(`\r${line.padEnd(this.liveLength)}`);
      this.liveLength = line.length;
    } else if (performance.now() - this.lastPlainMs > this.plainEveryMs) {
      this.lastPlainMs = performance.now();
      this.out.write(`${text}\n`);
    }
  }

  private clearLive(): void {
    if (this.out.isTTY && this.liveLength > 0) this.out.write(`\r${' '.repeat(this.liveLength)}\r`);
    this.liveLength = 0;
  }
}

export interface Stage {
  /** Replaces the line that shows how far it is. */
  live(text: string): void;
  /** A line of its own below the stages. */
  detail(text: string): void;
}

export function bar(share: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * BAR_WIDTH);
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
}

export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

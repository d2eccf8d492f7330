import { randomUUID } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { runOutcome } from '@luthier/contracts';
import type { RunOutcome } from '@luthier/contracts';
import type { AttemptKey } from '../runs/run-executor.js';
import { processIdentity } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

const record = z.object({
  objectUid: z.string(),
  podUid: z.string(),
  runner: processIdentity,
  startedAt: z.iso.datetime(),
});
export type RunRecord = z.output<typeof record>;

const ended = z.object({ endedAt: z.iso.datetime() });

/** The files of one attempt: `<workDir>/runs/<runId>/<attempt>/`. */
export class RunFolder {
  readonly path: string;

  constructor(runsDir: string, key: AttemptKey) {
    this.path = join(runsDir, key.runId, String(key.attempt));
  }

  get lock(): string {
    return join(this.path, 'lock');
  }
  /** The runtime's log; an older part may lie in `log.txt.1`. */
  get log(): string {
    return join(this.path, 'log.txt');
  }
  get runnerLog(): string {
    return join(this.path, 'runner.log');
  }
  outputDir(incarnation: number): string {
    return join(this.path, `output-${incarnation}`);
  }

  exists(): Promise<boolean> {
    return stat(this.path).then(
      () => true,
      () => false,
    );
  }

  async recreate(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    await mkdir(this.path, { recursive: true });
  }

  writeRecord(value: RunRecord): Promise<void> {
    return this.write('record.json', value);
  }
  readRecord(): Promise<RunRecord | undefined> {
    return this.read('record.json', record);
  }

  /** Every process known to belong here: as the executor, the runner and the runtime were recorded. */
  async processes(): Promise<ProcessIdentity[]> {
    const found = [
      (await this.readRecord())?.runner,
      await this.read('runner.json', processIdentity),
      await this.read('runtime.json', processIdentity),
    ];
    return found.filter((identity) => identity !== undefined);
  }

  /** Highest sequence number that the runner knew to be published, per rank. */
  async acknowledged(): Promise<Record<string, number>> {
    return (await this.read('acknowledged.json', z.record(z.string(), z.int().nonnegative()))) ?? {};
  }

  outcome(): Promise<RunOutcome | undefined> {
    return this.read('outcome.json', runOutcome);
  }

  async markEnded(endedAt: Date): Promise<void> {
    if (!(await this.read('ended.json', ended))) await this.write('ended.json', { endedAt: endedAt.toISOString() });
  }
  async endedAt(): Promise<Date | undefined> {
    const found = await this.read('ended.json', ended);
    return found && new Date(found.endedAt);
  }

  /** When anything was last written by the run: the best guess for a process that died unseen. */
  async lastSign(): Promise<Date | undefined> {
    const times = await Promise.all(
      [join(this.outputDir(1), 'events.0.jsonl'), this.log, join(this.path, 'acknowledged.json')].map((path) =>
        stat(path).then(
          ({ mtimeMs }) => mtimeMs,
          () => 0,
        ),
      ),
    );
    const last = Math.max(...times);
    return last > 0 ? new Date(last) : undefined;
  }

  private async write(name: string, value: unknown): Promise<void> {
    const draft = join(this.path, `${name}.${randomUUID()}.tmp`);
    await writeFile(draft, JSON.stringify(value), { flush: true });
    await rename(draft, join(this.path, name));
  }

  private async read<Schema extends z.ZodType>(name: string, schema: Schema): Promise<z.output<Schema> | undefined> {
    const text = await readFile(join(this.path, name), 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    try {
      return schema.safeParse(JSON.parse(text)).data;
    } catch {
      return undefined;
    }
  }
}

/** Numbers of the attempts that have a folder, rising. */
export async function attemptsOf(runsDir: string, runId: string): Promise<number[]> {
  const names = await readdir(join(runsDir, runId)).catch(() => []);
  return names
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

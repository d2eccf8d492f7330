import type { RunPhase, RunSpec, RunStatus } from '@luthier/contracts';
import type { RunEntry, RunsBucket } from '@luthier/messaging';

type StatusEntry = RunEntry<'status'>;

/**
 * Spec and status of each run as the bucket holds them, without asking it at every look: specs as the watch tells them,
 * statuses as this trainer, their only writer, has read or written them. Being wrong costs a look, never a run: a status
 * is written by compare-and-set, and read anew after each change of its spec and each list of the bucket.
 */
export class KnownRuns {
  private readonly specs = new Map<string, RunSpec>();
  /** `undefined` as a value: there is none. */
  private readonly statuses = new Map<string, StatusEntry | undefined>();
  /** Statuses to be read again before anything is decided by them. */
  private readonly doubted = new Set<string>();

  constructor(private readonly bucket: Pick<RunsBucket, 'get' | 'compareAndSet'>) {}

  /** Everything there is: what is missing is gone. */
  listed(entries: readonly RunEntry<'spec'>[]): void {
    this.specs.clear();
    for (const { runId, value } of entries) this.specs.set(runId, value);
    for (const runId of this.statuses.keys()) {
      if (this.specs.has(runId)) this.doubted.add(runId);
      else this.forget(runId);
    }
  }

  /** Who changes what should be has seen what is: it is read again too. */
  saw({ runId, value }: RunEntry<'spec'>): void {
    this.specs.set(runId, value);
    if (this.statuses.has(runId)) this.doubted.add(runId);
  }

  forget(runId: string): void {
    this.specs.delete(runId);
    this.statuses.delete(runId);
    this.doubted.delete(runId);
  }

  spec(runId: string): RunSpec | undefined {
    return this.specs.get(runId);
  }

  async status(runId: string): Promise<StatusEntry | undefined> {
    if (this.statuses.has(runId) && !this.doubted.has(runId)) return this.statuses.get(runId);
    const entry = await this.bucket.get('status', runId);
    this.note(runId, entry);
    return entry;
  }

  /** @throws RevisionConflict when the bucket holds something else than `before`; then the next look reads it. */
  async write(value: RunStatus, before: StatusEntry | undefined): Promise<void> {
    const { runId } = value;
    try {
      const revision = await this.bucket.compareAndSet('status', value, before?.revision ?? 0);
      this.note(runId, { runId, value, revision });
    } catch (cause) {
      this.doubted.add(runId); // also where no answer came: it may have been written
      throw cause;
    }
  }

  private note(runId: string, entry: StatusEntry | undefined): void {
    this.statuses.set(runId, entry);
    this.doubted.delete(runId);
  }

  /** Of the runs whose status is known. */
  *phases(): Iterable<RunPhase> {
    for (const entry of this.statuses.values()) if (entry) yield entry.value.phase;
  }
}

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EndpointClient } from './endpoint-client.js';
import { describeFile, filesBelow } from './files.js';
import type { StoredFile } from './files.js';
import { upload } from './object-store.js';

export interface CommittedCheckpoint {
  step: number;
  uri: string;
  sha256: string;
}

export interface UploaderOptions {
  endpoint: EndpointClient;
  outputDir: string;
  /** `artifact://runs/<runId>/<attempt>/<incarnation>` */
  baseUri: string;
  deadlineMs: () => number;
  signal: AbortSignal;
  note: (text: string) => void;
}

/** Stores checkpoints one after the other; one that waits is replaced by a newer one. */
export class CheckpointUploader {
  newest: CommittedCheckpoint | undefined;
  private pending: { step: number; dir: string } | undefined;
  private working: Promise<void> | undefined;
  private fault: Error | undefined;

  constructor(private readonly options: UploaderOptions) {}

  /** The runtime has completed a checkpoint in `dir`, relative to its output folder. */
  add(step: number, dir: string): void {
    this.pending = { step, dir };
    this.working ??= this.work().finally(() => (this.working = undefined));
  }

  /** Waits until everything is stored. @throws what the newest checkpoint could not be stored for. */
  async settle(): Promise<void> {
    while (this.working) await this.working;
    if (this.fault) throw this.fault;
  }

  private async work(): Promise<void> {
    for (let next = this.pending; next; next = this.pending) {
      this.pending = undefined;
      try {
        await this.store(next.step, next.dir);
        this.fault = undefined;
      } catch (cause) {
        // The run goes on: the next checkpoint may find space or network again; the last one decides at the end.
        this.fault = cause instanceof Error ? cause : new Error(String(cause));
        this.options.note(`checkpoint ${next.step} is not stored: ${this.fault.message}`);
      }
    }
  }

  private async store(step: number, dir: string): Promise<void> {
    const { endpoint, deadlineMs, signal } = this.options;
    const folder = join(this.options.outputDir, dir);
    const target = `${this.options.baseUri}/checkpoint-${step}`;
    const files: StoredFile[] = [];
    for (const name of await filesBelow(folder)) files.push(await describeFile(folder, name));
    await endpoint.persistently(
      async () => {
        const urls = await endpoint.urls(
          'write',
          files.map(({ name }) => `${target}/${name}`),
        );
        for (const { name } of files) await upload(join(folder, name), urls.get(`${target}/${name}`) ?? '');
      },
      deadlineMs,
      signal,
    );
    const answer = await endpoint.persistently(() => endpoint.reportCheckpoint(step, files), deadlineMs, signal);
    if (!answer.committed || answer.uri === undefined || answer.sha256 === undefined) return;
    const before = this.localFolder;
    this.localFolder = folder;
    this.newest = { step, uri: answer.uri, sha256: answer.sha256 };
    if (before !== undefined && before !== folder) await rm(before, { recursive: true, force: true });
  }

  /** Of the newest committed checkpoint; older ones are only kept in the store. */
  private localFolder: string | undefined;
}

import { gzipSync } from 'node:zlib';
import type { ArtifactStore } from '@luthier/artifacts';
import type { V1Pod } from '@luthier/kube';
import { storedLogName } from '../logs/stored-logs.js';
import type { StoredLogName } from '../logs/stored-logs.js';
import type { AttemptKey } from '../runs/run-executor.js';
import { LABEL } from './names.js';
import type { PodLogReader } from './pod-logs.js';

export interface PodLogArchiveParts {
  store: ArtifactStore;
  readLog: PodLogReader;
}

/** What is kept of each log: the whole of it as far as it fits, and its last lines with their times. */
const KEPT: readonly [name: StoredLogName, options: { tailLines: number; timestamps?: boolean }][] = [
  ['log', { tailLines: 10_000 }],
  ['timed-log', { tailLines: 1_000, timestamps: true }],
];
const LIMIT_BYTES = 1024 * 1024;
/** Of a large run a few logs tell as much as all of them. */
const MAX_PODS = 8;
/** A node that does not answer must not hold up the end of a run. */
const READ_TIMEOUT_MS = 5_000;

/**
 * Keeps what the pods of an ended attempt have written: where its runners could not store it themselves, and for those
 * who follow it and have not read its end.
 */
export class PodLogArchive {
  constructor(private readonly parts: PodLogArchiveParts) {}

  /** Best effort, bounded and repeatable: what is stored already stays, what cannot be read is left out. */
  async keep(key: AttemptKey, incarnation: number, pods: readonly V1Pod[]): Promise<void> {
    await Promise.all(
      pods
        .slice(0, MAX_PODS)
        .flatMap((pod) =>
          KEPT.map(([name, options]) => this.keepOne(key, incarnation, pod, name, options).catch(() => undefined)),
        ),
    );
  }

  private async keepOne(
    { runId, attempt }: AttemptKey,
    incarnation: number,
    { metadata }: V1Pod,
    name: StoredLogName,
    options: { tailLines: number; timestamps?: boolean },
  ): Promise<void> {
    const { store, readLog } = this.parts;
    const node = Number(metadata?.labels?.[LABEL.completionIndex] ?? 0);
    const uri = `artifact://runs/${runId}/${attempt}/${incarnation}/${storedLogName(name, node)}`;
    if (metadata?.name === undefined || (await store.stat(uri))) return;
    const signal = AbortSignal.timeout(READ_TIMEOUT_MS);
    const text = await readLog(metadata.name, { limitBytes: LIMIT_BYTES, ...options, signal });
    if (text !== '') await store.put(uri, gzipSync(text));
  }
}

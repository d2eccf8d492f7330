import { gzipSync } from 'node:zlib';
import type { ArtifactStore } from '@luthier/artifacts';
import type { V1Pod } from '@luthier/kube';
import type { AttemptKey } from '../runs/run-executor.js';
import { LABEL } from './names.js';

export interface PodLogArchiveParts {
  store: ArtifactStore;
  /** The end of what a pod has written. */
  readLog: (pod: string, options: { limitBytes: number; tailLines: number; signal: AbortSignal }) => Promise<string>;
}

const LIMIT = { limitBytes: 1024 * 1024, tailLines: 10_000 };
/** Of a large run a few logs tell as much as all of them. */
const MAX_PODS = 8;
/** A node that does not answer must not hold up the end of a run. */
const READ_TIMEOUT_MS = 5_000;

/** Keeps what the pods of an ended attempt have written, where its runners could not store it themselves. */
export class PodLogArchive {
  constructor(private readonly parts: PodLogArchiveParts) {}

  /** Best effort, bounded and repeatable: what is stored already stays, what cannot be read is left out. */
  async keep(key: AttemptKey, incarnation: number, pods: readonly V1Pod[]): Promise<void> {
    await Promise.all(pods.slice(0, MAX_PODS).map((pod) => this.keepOne(key, incarnation, pod).catch(() => undefined)));
  }

  private async keepOne({ runId, attempt }: AttemptKey, incarnation: number, { metadata }: V1Pod): Promise<void> {
    const { store, readLog } = this.parts;
    const node = metadata?.labels?.[LABEL.completionIndex] ?? '0';
    const name = node === '0' ? 'log.txt.gz' : `log.${node}.txt.gz`; // as runners name them
    const uri = `artifact://runs/${runId}/${attempt}/${incarnation}/${name}`;
    if (metadata?.name === undefined || (await store.stat(uri))) return;
    const text = await readLog(metadata.name, { ...LIMIT, signal: AbortSignal.timeout(READ_TIMEOUT_MS) });
    if (text !== '') await store.put(uri, gzipSync(text));
  }
}

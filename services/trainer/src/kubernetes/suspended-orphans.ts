import { setTimeout as sleep } from 'node:timers/promises';
import type { V1Job } from '@luthier/kube';
import type { Logger } from '@luthier/service-kit';
import { ANNOTATION, attemptOfLabels } from './names.js';

export interface SuspendedOrphansParts {
  /** All Jobs of ours in the namespace. */
  jobs: () => readonly V1Job[];
  /** Whether a spec or a status of the run is there. */
  isKnown: (runId: string) => Promise<boolean>;
  /** Exactly this Job. */
  delete: (name: string, uid: string) => Promise<void>;
  /** How long nothing may be known of its run: training may be writing the specs anew. */
  boundMs: number;
  logger: Pick<Logger, 'info' | 'warn'>;
  now?: () => number;
}

const MAX_PAUSE_MS = 60_000;

/** Removes Jobs that were made for a run and never let go, once nobody has known of the run for long. */
export class SuspendedOrphans {
  /** Since when nothing is known of the run of the Job with this UID. */
  private readonly unknownSince = new Map<string, number>();
  private readonly now: () => number;

  constructor(private readonly parts: SuspendedOrphansParts) {
    this.now = parts.now ?? Date.now;
  }

  /** Looks again and again until the signal ends it. Never throws. */
  async watch(signal: AbortSignal): Promise<void> {
    this.unknownSince.clear(); // what happened while another trainer looked is not known
    const pauseMs = Math.min(MAX_PAUSE_MS, this.parts.boundMs / 2);
    while (!signal.aborted) {
      await this.sweep().catch((err: unknown) =>
        this.parts.logger.warn({ op: 'trainer.orphans', err }, 'Looking for Jobs without a run failed'),
      );
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async sweep(): Promise<void> {
    const now = this.now();
    const waiting = this.parts.jobs().filter(neverLetGo);
    const uids = new Set(waiting.map(({ metadata }) => metadata?.uid ?? ''));
    for (const uid of this.unknownSince.keys()) if (!uids.has(uid)) this.unknownSince.delete(uid);
    for (const { metadata } of waiting) {
      const { name = '', uid = '', labels } = metadata ?? {};
      const runId = attemptOfLabels(labels)?.runId;
      if (runId === undefined) continue; // not made by a trainer
      if (await this.parts.isKnown(runId)) {
        this.unknownSince.delete(uid);
        continue;
      }
      const since = this.unknownSince.get(uid) ?? now;
      this.unknownSince.set(uid, since);
      if (now - since < this.parts.boundMs) continue;
      await this.parts.delete(name, uid);
      this.parts.logger.info({ op: 'trainer.remove-orphan', ok: true, runId, job: name });
    }
  }
}

/** What has run may still be somebody's: a missing key never means stop. */
const neverLetGo = ({ metadata, spec }: V1Job): boolean =>
  spec?.suspend === true &&
  metadata?.deletionTimestamp === undefined &&
  metadata?.annotations?.[ANNOTATION.prepared] !== 'true';

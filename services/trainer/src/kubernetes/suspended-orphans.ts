import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@luthier/service-kit';
import type { Root } from './carriers/carrier.js';
import { attemptOf } from './carriers/carriers.js';
import { ANNOTATION } from './names.js';

export interface SuspendedOrphansParts {
  /** All root objects of ours in the namespace. */
  roots: () => readonly Root[];
  /** Whether a spec or a status of the run is there. */
  isKnown: (runId: string) => Promise<boolean>;
  /** Exactly this one. */
  delete: (root: Root) => Promise<void>;
  /** How long nothing may be known of its run: training may be writing the specs anew. */
  boundMs: number;
  logger: Pick<Logger, 'info' | 'warn'>;
  now?: () => number;
}

const MAX_PAUSE_MS = 60_000;

/** Removes objects that were made for a run and never let go, once nobody has known of the run for long. */
export class SuspendedOrphans {
  /** Since when nothing is known of the run of the object with this UID. */
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
        this.parts.logger.warn({ op: 'trainer.orphans', err }, 'Looking for objects without a run failed'),
      );
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async sweep(): Promise<void> {
    const now = this.now();
    const waiting = this.parts.roots().filter(neverLetGo);
    const uids = new Set(waiting.map(({ metadata }) => metadata?.uid ?? ''));
    for (const uid of this.unknownSince.keys()) if (!uids.has(uid)) this.unknownSince.delete(uid);
    for (const root of waiting) {
      const { name, uid = '' } = root.metadata ?? {};
      const runId = attemptOf(root)?.runId;
      if (runId === undefined) continue; // not made by a trainer
      if (await this.parts.isKnown(runId)) {
        this.unknownSince.delete(uid);
        continue;
      }
      const since = this.unknownSince.get(uid) ?? now;
      this.unknownSince.set(uid, since);
      if (now - since < this.parts.boundMs) continue;
      await this.parts.delete(root);
      this.parts.logger.info({ op: 'trainer.remove-orphan', ok: true, runId, name });
    }
  }
}

/** What has run may still be somebody's: a missing key never means stop. */
const neverLetGo = ({ metadata, spec }: Root): boolean =>
  spec?.suspend === true &&
  metadata?.deletionTimestamp === undefined &&
  metadata?.annotations?.[ANNOTATION.prepared] !== 'true';

import { setTimeout as sleep } from 'node:timers/promises';
import type { RunNews } from '@luthier/contracts';
import type { Reflector, V1Event } from '@luthier/kube';
import type { Logger } from '@luthier/service-kit';
import { asTold, eventsToTell } from './events-to-tell.js';
import type { Told } from './events-to-tell.js';
import type { ObjectOwners } from './object-owners.js';

export interface RunTimelineParts {
  /** Of the namespace of the runs. */
  events: Pick<Reflector<V1Event>, 'list'>;
  owners: Pick<ObjectOwners, 'of'>;
  publish: (news: RunNews) => Promise<void>;
  logger: Pick<Logger, 'warn'>;
}

/** Seldom enough that a storm of events costs little, often enough to be called live. */
const SWEEP_MS = 500;
const PARALLEL = 50;

/**
 * Puts what the cluster says of the runs' objects onto the run stream. It looks at all that is known, again and again:
 * an event may be known before the object that it is about, and what could not be published is simply still due.
 */
export class RunTimeline {
  private readonly told = new Map<string, Told>();

  constructor(private readonly parts: RunTimelineParts) {}

  /** Tells until the signal ends it. Never throws. */
  async tell(signal: AbortSignal): Promise<void> {
    this.told.clear(); // what another trainer told is not known; training knows it
    let failed = false;
    while (!signal.aborted) {
      try {
        await this.sweep();
        failed = false;
      } catch (err) {
        if (!failed) this.parts.logger.warn({ op: 'trainer.timeline', ok: false, err });
        failed = true;
      }
      await sleep(SWEEP_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async sweep(): Promise<void> {
    const events = this.parts.events.list();
    const there = new Set(events.map(({ metadata }) => metadata.uid ?? ''));
    // The cluster forgets its events after an hour; they do not come again.
    for (const uid of this.told.keys()) if (!there.has(uid)) this.told.delete(uid);
    const due = eventsToTell(events, this.told, (uid) => this.parts.owners.of(uid));
    for (let from = 0; from < due.length; from += PARALLEL) {
      const part = due.slice(from, from + PARALLEL);
      await Promise.all(part.map((news) => this.parts.publish(news)));
      for (const news of part) this.told.set(news.event.uid, asTold(news));
    }
  }
}

import { EVENTS } from '@luthier/kube';
import type { KubeClient, V1Event } from '@luthier/kube';

const MAX_EVENTS = 50;
const FRESH_MS = 5_000;
const MAX_KEPT = 2_000;

/** Events about single objects, asked for on demand: they are many, and seldom tell anything. */
export class RecentEvents {
  private readonly known = new Map<string, { askedAtMs: number; events: Promise<V1Event[]> }>();

  constructor(
    private readonly client: KubeClient,
    private readonly namespace: string,
    private readonly now: () => number = Date.now,
  ) {}

  /** Empty when they cannot be had: they explain, nothing is decided without the object itself. */
  of(objectUid: string): Promise<V1Event[]> {
    const known = this.known.get(objectUid);
    if (known && this.now() - known.askedAtMs < FRESH_MS) return known.events;
    const events = this.ask(objectUid);
    this.known.delete(objectUid);
    this.known.set(objectUid, { askedAtMs: this.now(), events });
    const [oldest] = this.known.keys();
    if (this.known.size > MAX_KEPT && oldest !== undefined) this.known.delete(oldest);
    return events;
  }

  private async ask(uid: string): Promise<V1Event[]> {
    try {
      const fieldSelector = `involvedObject.uid=${uid}`;
      const { namespace } = this;
      return (await this.client.list(EVENTS, { namespace, fieldSelector, limit: MAX_EVENTS })).items;
    } catch {
      return [];
    }
  }
}

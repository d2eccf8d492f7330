import { runtimeEvent } from '@luthier/contracts';
import type { RuntimeEvent } from '@luthier/contracts';
import type { MessageBus } from '@luthier/messaging';

export interface IncarnationKey {
  runId: string;
  attempt: number;
  incarnation: number;
}

const PARALLEL = 50;
const MAX_MESSAGE_BYTES = 900 * 1024;

/** Puts lines onto the run stream in order, each once as far as this process remembers. */
export class RunPublisher {
  private readonly published = new Map<string, Record<string, number>>();

  constructor(private readonly bus: Pick<MessageBus, 'publishRunMessage'>) {}

  /**
   * @returns the highest sequence number published so far, per rank.
   * @throws what publishing met; lines published before it are remembered.
   */
  async publish(key: IncarnationKey, events: readonly RuntimeEvent[]): Promise<Record<string, number>> {
    const highest = this.of(key);
    const fresh = events.filter(({ rank, seq }) => seq > (highest[String(rank)] ?? 0));
    for (let from = 0; from < fresh.length; from += PARALLEL) {
      const part = fresh.slice(from, from + PARALLEL);
      await Promise.all(part.map((event) => this.bus.publishRunMessage({ ...key, event: bounded(event) })));
      for (const { rank, seq } of part) highest[String(rank)] = Math.max(highest[String(rank)] ?? 0, seq);
    }
    return { ...highest };
  }

  /** What is published need not be remembered once nothing of the run is left. */
  forget(runId: string): void {
    for (const name of this.published.keys()) if (name.startsWith(`${runId}:`)) this.published.delete(name);
  }

  private of({ runId, attempt, incarnation }: IncarnationKey): Record<string, number> {
    const name = `${runId}:${attempt}:${incarnation}`;
    const known = this.published.get(name) ?? {};
    this.published.set(name, known);
    return known;
  }
}

/** A line beyond the stream's limit is replaced by one that says so; the stored events file has it whole. */
function bounded(event: RuntimeEvent): RuntimeEvent {
  if (JSON.stringify(event).length < MAX_MESSAGE_BYTES) return event;
  const { seq, rank, time } = event;
  return runtimeEvent.parse({
    type: 'warning',
    seq,
    rank,
    time,
    code: 'line-too-long',
    message: `A line of type ${event.type} is too long to be sent; it is kept in the run's events file.`,
  });
}

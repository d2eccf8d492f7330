import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { ConsumerBacklog } from '@luthier/messaging';

const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const BACKLOG_GAUGES: readonly { name: string; help: string; value: (backlog: ConsumerBacklog) => number }[] = [
  {
    name: 'luthier_consumer_pending',
    help: 'Messages that a consumer has still to read.',
    value: ({ pending }) => pending,
  },
  {
    name: 'luthier_consumer_unacknowledged',
    help: 'Messages that are being handled, or wait to come again.',
    value: ({ unacknowledged }) => unacknowledged,
  },
  {
    name: 'luthier_consumer_redelivered',
    help: 'Messages of these that came more than once.',
    value: ({ redelivered }) => redelivered,
  },
];

/** Memory, event loop and garbage collection belong to the process, however many services run in it. */
let processRegistry: Registry | undefined;
function processMetrics(): Registry {
  if (!processRegistry) {
    processRegistry = new Registry();
    collectDefaultMetrics({ register: processRegistry });
  }
  return processRegistry;
}

/** The metrics of one service. A service registers its own with `registers: [metrics.registry]`. */
export class ServiceMetrics {
  readonly registry = new Registry();
  readonly rpcDuration: Histogram<'subject' | 'code'>;
  readonly eventHandled: Counter<'consumer' | 'subject' | 'outcome'>;
  readonly eventDuration: Histogram<'consumer' | 'subject'>;
  readonly httpDuration: Histogram<'method' | 'route' | 'status'>;
  readonly outboxFailures: Counter;

  constructor(service: string) {
    this.registry.setDefaultLabels({ service });
    const registers = [this.registry];
    new Gauge({
      name: 'luthier_service_start_time_seconds',
      help: 'When the service was started.',
      registers,
    }).setToCurrentTime();
    this.rpcDuration = new Histogram({
      name: 'luthier_rpc_duration_seconds',
      help: 'Time to answer a request over NATS; code is "ok" or the error code.',
      labelNames: ['subject', 'code'],
      buckets: SECONDS,
      registers,
    });
    this.eventHandled = new Counter({
      name: 'luthier_event_handled_total',
      help: 'Deliveries of events by outcome: handled, ignored, retried, dead.',
      labelNames: ['consumer', 'subject', 'outcome'],
      registers,
    });
    this.eventDuration = new Histogram({
      name: 'luthier_event_duration_seconds',
      help: 'Time a delivery took in its handler.',
      labelNames: ['consumer', 'subject'],
      buckets: SECONDS,
      registers,
    });
    this.httpDuration = new Histogram({
      name: 'luthier_http_duration_seconds',
      help: 'Time to answer an HTTP request, by route pattern.',
      labelNames: ['method', 'route', 'status'],
      buckets: SECONDS,
      registers,
    });
    this.outboxFailures = new Counter({
      name: 'luthier_outbox_failures_total',
      help: 'Attempts to publish from the outbox that failed; they are repeated.',
      registers,
    });
  }

  /** What waits in the consumers that the service reads; every replica of it says the same. */
  tellBacklogs(read: () => Promise<readonly ConsumerBacklog[]>): void {
    let reading: Promise<readonly ConsumerBacklog[]> | undefined;
    // One look serves all series of a scrape. A fault leaves them out, not all others with them.
    const once = (): Promise<readonly ConsumerBacklog[]> =>
      (reading ??= read()
        .catch(() => [])
        .finally(() => (reading = undefined)));
    for (const { name, help, value } of BACKLOG_GAUGES) {
      new Gauge({
        ...{ name, help, labelNames: ['consumer'], registers: [this.registry] },
        async collect() {
          this.reset();
          for (const backlog of await once()) this.set({ consumer: backlog.consumer }, value(backlog));
        },
      });
    }
  }

  /** Connections to the database that are `used` and `idle`, and how many wait for one. */
  tellConnections(read: () => Readonly<Record<'used' | 'idle' | 'waiting', number>>): void {
    new Gauge({
      name: 'luthier_database_connections',
      help: 'Connections to the database that are used and idle, and requests that wait for one.',
      labelNames: ['state'],
      registers: [this.registry],
      collect() {
        for (const [state, count] of Object.entries(read())) this.set({ state }, count);
      },
    });
  }

  /** Text exposition of the service's and the process's metrics. */
  async text(): Promise<string> {
    // Not Registry.merge: it would lose the default label.
    return `${await this.registry.metrics()}\n${await processMetrics().metrics()}`;
  }
}

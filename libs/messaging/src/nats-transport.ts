import { ServerNats } from '@nestjs/microservices';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';

/** Nest's NATS transport over a connection that the service has already, so that each service has exactly one. */
export class SharedNatsTransport extends ServerNats {
  constructor(
    private readonly connection: NatsConnection,
    queue: string,
  ) {
    super({ queue });
  }

  override createNatsClient(): Promise<NatsConnection> {
    return Promise.resolve(this.connection);
  }

  /** Stops taking requests; the connection belongs to whoever opened it. */
  override async close(): Promise<void> {
    // Nest keeps the list private and untyped.
    const subscriptions = this['subscriptions'] as Subscription[];
    const open = subscriptions.filter((subscription) => !subscription.isClosed());
    await Promise.all(open.map((subscription) => subscription.drain()));
  }
}

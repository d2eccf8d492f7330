import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import type { DiscoveryService } from '@nestjs/core';
import type { NatsConnection } from '@nats-io/transport-node';
import type { ConsumerSpec } from '@luthier/contracts';
import { EventConsumer } from './event-consumer.js';
import type { ConsumerBacklog, DeliveryObserver, EventHandler } from './event-consumer.js';
import { eventHandlersOf } from './on-event.js';

/** Finds the `@OnEvent` and `@OnRunMessage` methods of an application and runs one consumer for each durable name. */
export class EventDispatcher implements OnApplicationBootstrap, OnApplicationShutdown {
  private consumers: EventConsumer[] = [];

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly connection: NatsConnection,
    private readonly observer: DeliveryObserver | undefined,
  ) {}

  onApplicationBootstrap(): void {
    const byName = new Map<string, { consumer: ConsumerSpec; handlers: EventHandler[] }>();
    const wrappers = [...this.discovery.getProviders(), ...this.discovery.getControllers()];
    for (const instance of new Set(wrappers.map((wrapper) => wrapper.instance as unknown))) {
      if (typeof instance !== 'object' || instance === null) continue;
      for (const { consumer, subject, schema, method } of eventHandlersOf(instance.constructor)) {
        const entry = byName.get(consumer.name) ?? { consumer, handlers: [] };
        const call = (instance as Record<string | symbol, EventHandler['handle']>)[method];
        if (call) entry.handlers.push({ subject, schema, handle: call.bind(instance) });
        byName.set(consumer.name, entry);
      }
    }
    this.consumers = [...byName.values()].map(
      ({ consumer, handlers }) =>
        new EventConsumer({
          connection: this.connection,
          consumer,
          handlers,
          ...(this.observer && { observer: this.observer }),
        }),
    );
    for (const consumer of this.consumers) consumer.start();
  }

  /** Of each consumer that can be asked now. */
  async backlogs(): Promise<ConsumerBacklog[]> {
    const asked = await Promise.all(this.consumers.map((consumer) => consumer.backlog()));
    return asked.filter((backlog) => backlog !== undefined);
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.consumers.map((consumer) => consumer.stop()));
  }
}

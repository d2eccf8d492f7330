import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { DiscoveryModule, DiscoveryService } from '@nestjs/core';
import type { NatsConnection } from '@nats-io/transport-node';
import type { DeliveryObserver } from './event-consumer.js';
import { EventDispatcher } from './event-dispatcher.js';
import { MessageBus } from './message-bus.js';
import { RunsBucket } from './runs-bucket.js';

/** Inject with `@Inject(NATS_CONNECTION)`. */
export const NATS_CONNECTION = Symbol('luthier.nats-connection');

export interface MessagingModuleOptions {
  connection: NatsConnection;
  observer?: DeliveryObserver;
  /** Told of a value in the runs bucket that does not match the contract. */
  onInvalidRun?: (key: string, cause: unknown) => void;
}

/** Gives an application `MessageBus`, `RunsBucket` and `NATS_CONNECTION`, and runs its event handlers. */
@Module({})
export class MessagingModule {
  static forRoot({ connection, observer, onInvalidRun }: MessagingModuleOptions): DynamicModule {
    return {
      module: MessagingModule,
      global: true,
      imports: [DiscoveryModule],
      providers: [
        { provide: NATS_CONNECTION, useValue: connection },
        { provide: MessageBus, useFactory: () => new MessageBus(connection) },
        { provide: RunsBucket, useFactory: () => new RunsBucket(connection, onInvalidRun) },
        {
          provide: EventDispatcher,
          useFactory: (discovery: DiscoveryService) => new EventDispatcher(discovery, connection, observer),
          inject: [DiscoveryService],
        },
      ],
      exports: [NATS_CONNECTION, MessageBus, RunsBucket, EventDispatcher],
    };
  }
}

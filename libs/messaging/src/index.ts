export { connectNats, inboxPrefix } from './connect.js';
export type { NatsSettings } from './connect.js';
export type { DeadLetter } from './dead-letters.js';
export { EventConsumer } from './event-consumer.js';
export type {
  ConsumerBacklog,
  DeliveryObserver,
  DeliveryOutcome,
  EventConsumerOptions,
  EventHandler,
} from './event-consumer.js';
export { EventDispatcher } from './event-dispatcher.js';
export { MessageBus, REQUEST_ID_HEADER, runMessageId } from './message-bus.js';
export type { RequestOptions } from './message-bus.js';
export { MessagingModule, NATS_CONNECTION } from './messaging.module.js';
export type { MessagingModuleOptions } from './messaging.module.js';
export { SharedNatsTransport } from './nats-transport.js';
export { OnEvent, OnRunMessage } from './on-event.js';
export type { Delivery } from './on-event.js';
export { OnRequest, RequestFailure } from './on-request.js';
export { enqueue, handledOnce, inboxTable, outboxTable } from './outbox.js';
export type { Executor, InboxTable, OutboxTable } from './outbox.js';
export { INBOX_KEPT_MS, OUTBOX_KEPT_MS, OutboxRelay } from './outbox-relay.js';
export type { OutboxRelayOptions } from './outbox-relay.js';
export { natsPermissions, natsServerConfig } from './permissions.js';
export type { NatsPermissions, NatsUser } from './permissions.js';
export { provision } from './provision.js';
export type { ProvisionOptions, Provisioned } from './provision.js';
export { RevisionConflict, RunsBucket } from './runs-bucket.js';
export type { RunChange, RunEntry, RunSide, RunSides, WatchOptions } from './runs-bucket.js';
export { parsePayload } from './validation.js';

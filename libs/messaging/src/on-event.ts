import 'reflect-metadata';
import type { z } from 'zod';
import { CONSUMERS, runStreamMessage } from '@luthier/contracts';
import type { ConsumerSpec, EventDefinition, RunStreamMessage } from '@luthier/contracts';

const HANDLERS = Symbol.for('luthier.messaging.event-handlers');

/** What a handler learns about a delivery beside its payload. */
export interface Delivery {
  /** The same for every delivery and every republication of one event: the key for `handledOnce`. */
  readonly eventId: string;
  readonly subject: string;
  /** 1 at the first delivery. */
  readonly deliveryCount: number;
  /** Position in the stream. */
  readonly sequence: number;
}

export interface EventHandlerMetadata {
  readonly consumer: ConsumerSpec;
  /** Exact subject, or undefined for every subject of the consumer. */
  readonly subject: string | undefined;
  readonly schema: z.ZodType;
  readonly method: string | symbol;
}

type Decorator<Payload> = <Handler extends (payload: Payload, delivery: Delivery) => Promise<void> | void>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<Handler>,
) => void;

function consumerNamed(name: string): ConsumerSpec {
  const found = CONSUMERS.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`contracts list no consumer "${name}"`);
  return found;
}

function register(target: object, handler: EventHandlerMetadata): void {
  const owner = target.constructor;
  const known = (Reflect.getOwnMetadata(HANDLERS, owner) as EventHandlerMetadata[] | undefined) ?? [];
  Reflect.defineMetadata(HANDLERS, [...known, handler], owner);
}

/**
 * Makes a provider's method the handler of an event of record for a durable consumer. It returns: acknowledged. It
 * throws: delivered again, later each time, and a dead letter after the consumer's last try. Deliveries repeat, so the
 * handler must be idempotent (`handledOnce`).
 */
export function OnEvent<Schema extends z.ZodType>(
  definition: EventDefinition<Schema>,
  options: { consumer: string },
): Decorator<z.output<Schema>> {
  const consumer = consumerNamed(options.consumer);
  return (target, key) =>
    register(target, { consumer, subject: definition.subject, schema: definition.schema, method: key });
}

/** The handler of every line of the run stream; lines of one run arrive one after the other. */
export function OnRunMessage(options: { consumer: string }): Decorator<RunStreamMessage> {
  const consumer = consumerNamed(options.consumer);
  return (target, key) => register(target, { consumer, subject: undefined, schema: runStreamMessage, method: key });
}

export function eventHandlersOf(owner: object): readonly EventHandlerMetadata[] {
  return (Reflect.getMetadata(HANDLERS, owner) as EventHandlerMetadata[] | undefined) ?? [];
}

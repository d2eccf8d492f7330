import { jetstream } from '@nats-io/jetstream';
import type { JsMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { deadSubject } from '@luthier/contracts';
import type { Delivery } from './on-event.js';
import type { PayloadIssue } from './validation.js';

/** Leaves room for the letter's own fields below the stream's message limit of 1 MiB, also when quotes are escaped. */
const MAX_PAYLOAD_CHARACTERS = 256 * 1024;

export interface DeathReason {
  /** `invalid`: does not match the contract; `failed`: the handler threw at every try. */
  reason: 'invalid' | 'failed';
  issues: readonly PayloadIssue[];
}

/** What lies on `luthier.v1.dead.<consumer>`. */
export interface DeadLetter extends DeathReason {
  consumer: string;
  subject: string;
  eventId: string;
  sequence: number;
  deliveryCount: number;
  /** The payload as text, cut at 256 Ki characters. */
  payload: string;
  truncated: boolean;
}

/** Keeps what a consumer cannot handle, with the reason, and only then takes it out of the consumer's way. */
export class DeadLetters {
  constructor(
    private readonly connection: NatsConnection,
    private readonly consumer: string,
  ) {}

  async bury(message: JsMsg, delivery: Delivery, why: DeathReason): Promise<void> {
    const text = message.string();
    const letter: DeadLetter = {
      consumer: this.consumer,
      ...delivery,
      ...why,
      payload: text.slice(0, MAX_PAYLOAD_CHARACTERS),
      truncated: text.length > MAX_PAYLOAD_CHARACTERS,
    };
    await jetstream(this.connection).publish(deadSubject(this.consumer), JSON.stringify(letter), {
      msgID: `${this.consumer}:${message.info.stream}:${message.seq}`,
      timeout: 5_000,
    });
    message.term(why.reason);
  }
}

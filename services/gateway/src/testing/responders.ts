import type { NatsConnection } from '@nats-io/transport-node';
import type { z } from 'zod';
import { AppError, jobChangedSubject } from '@luthier/contracts';
import type { RequestDefinition } from '@luthier/contracts';

/** Stands in for the services behind the gateway: answers their requests over a real NATS with their own contracts. */
export class Responders {
  constructor(private readonly connection: NatsConnection) {}

  /** Answers `definition` until the connection closes; payload and answer are checked against the contract. */
  answer<Req extends z.ZodType, Res extends z.ZodType>(
    definition: RequestDefinition<Req, Res>,
    handle: (payload: z.output<Req>) => Promise<z.input<Res>> | z.input<Res>,
  ): void {
    this.connection.subscribe(definition.subject, {
      callback: (error, message) => {
        if (error) return;
        const packet = message.json<{ id: string; data: unknown }>();
        void (async () => definition.response.parse(await handle(definition.request.parse(packet.data))))().then(
          (response) => message.respond(JSON.stringify({ id: packet.id, response, isDisposed: true })),
          (thrown: unknown) =>
            message.respond(JSON.stringify({ id: packet.id, err: AppError.from(thrown).toReply(), isDisposed: true })),
        );
      },
    });
  }

  /** Until the server knows of every `answer` so far: it hears of them over another connection than the gateway's. */
  async ready(): Promise<void> {
    await this.connection.flush();
  }

  poke(jobId: string): void {
    this.connection.publish(jobChangedSubject(jobId));
  }
}

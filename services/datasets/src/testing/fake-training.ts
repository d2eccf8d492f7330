import { listFileUsers } from '@luthier/contracts';
import type { MessageBus } from '@luthier/messaging';

type Connection = MessageBus['connection'];

/** Training as datasets knows it: says which unfinished jobs use a file. */
export class FakeTraining {
  /** Unfinished jobs by the file or the dataset that they use. */
  readonly users = new Map<string, string[]>();
  private subscription: ReturnType<Connection['subscribe']> | undefined;

  constructor(private readonly connection: Connection) {}

  async start(): Promise<void> {
    this.subscription = this.connection.subscribe(listFileUsers.subject, {
      callback: (_error, message) => {
        const { id, data } = message.json<{ id: string; data: unknown }>();
        const request = listFileUsers.request.parse(data);
        const jobIds = [request.fileId, ...request.datasetIds].flatMap((used) => this.users.get(used) ?? []);
        const response = listFileUsers.response.parse({ jobIds, hasMore: false });
        message.respond(JSON.stringify({ id, response, isDisposed: true }));
      },
    });
    await this.connection.flush();
  }

  /** From now on nobody answers. */
  async stop(): Promise<void> {
    this.subscription?.unsubscribe();
    await this.connection.flush();
  }
}

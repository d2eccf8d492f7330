import { identityOf, isAlive } from '@luthier/local-servers';

export interface LocalServer {
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

const LOOK_EVERY_MS = 500;
const RESTART_PAUSES_MS = [0, 500, 1_000, 2_000, 5_000];

/**
 * Keeps a child server alive: when its process is gone without our asking, it is started again on the same port, so
 * that clients find it where it was. Works for servers taken over from an earlier process too, which are not our
 * children.
 */
export class SupervisedServer<Server extends LocalServer> {
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private restarting: Promise<void> | undefined;

  private constructor(
    private readonly name: string,
    private server: Server,
    private readonly startAgain: (port: number) => Promise<Server>,
    private readonly log: (message: string) => void,
  ) {}

  static async start<Server extends LocalServer>(
    name: string,
    start: (port: number) => Promise<Server>,
    log: (message: string) => void,
  ): Promise<SupervisedServer<Server>> {
    const supervised = new SupervisedServer(name, await start(0), start, log);
    await supervised.watch();
    return supervised;
  }

  get current(): Server {
    return this.server;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.restarting;
    await this.server.stop();
  }

  private async watch(): Promise<void> {
    const identity = await identityOf(this.server.pid);
    this.timer = setInterval(() => {
      void (async () => {
        if (this.stopped || this.restarting || (identity && (await isAlive(identity)))) return;
        clearInterval(this.timer);
        this.restarting ??= this.restart().finally(() => (this.restarting = undefined));
      })();
    }, LOOK_EVERY_MS);
    this.timer.unref();
  }

  private async restart(): Promise<void> {
    this.log(`${this.name} (process ${this.server.pid}) has ended unasked: starting it again`);
    for (let attempt = 0; !this.stopped; attempt += 1) {
      const pauseMs = RESTART_PAUSES_MS[Math.min(attempt, RESTART_PAUSES_MS.length - 1)] ?? 0;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      try {
        this.server = await this.startAgain(this.server.port);
        this.log(`${this.name} runs again (process ${this.server.pid})`);
        await this.watch();
        return;
      } catch (cause) {
        this.log(`${this.name} did not start: ${cause instanceof Error ? cause.message : String(cause)}`);
      }
    }
  }
}

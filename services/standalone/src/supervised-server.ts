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
  private stopping: Promise<void> | undefined;
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

  /** Ends the server for good; a restart under way is waited for. May be called twice. */
  stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    this.stopping ??= (async () => {
      await this.restarting;
      await this.server.stop();
    })();
    return this.stopping;
  }

  private async watch(): Promise<void> {
    const identity = await identityOf(this.server.pid);
    if (this.stopped) return;
    const timer = setInterval(() => {
      void (async () => {
        if (identity && (await isAlive(identity))) return;
        // Looked at only now: between the look at the process and its answer somebody may have stopped or restarted it.
        if (this.stopped || this.restarting || timer !== this.timer) return;
        clearInterval(timer);
        this.restarting = this.restart().finally(() => (this.restarting = undefined));
      })();
    }, LOOK_EVERY_MS);
    timer.unref();
    this.timer = timer;
  }

  private async restart(): Promise<void> {
    this.log(`${this.name} (process ${this.server.pid}) has ended unasked: starting it again`);
    for (let attempt = 0; !this.stopped; attempt += 1) {
      const pauseMs = RESTART_PAUSES_MS[Math.min(attempt, RESTART_PAUSES_MS.length - 1)] ?? 0;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      if (this.stopped) return;
      try {
        this.server = await this.startOnPort(this.server.port);
        this.log(`${this.name} runs again (process ${this.server.pid})`);
        await this.watch();
        return;
      } catch (cause) {
        this.log(`${this.name} did not start: ${cause instanceof Error ? cause.message : String(cause)}`);
      }
    }
  }

  /** Clients know the server by its port: one on another port would run beside them, unseen. */
  private async startOnPort(port: number): Promise<Server> {
    const server = await this.startAgain(port);
    if (server.port === port) return server;
    await server.stop();
    throw new Error(`port ${port} is taken by another program`);
  }
}

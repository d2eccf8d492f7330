import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlPlane } from '@luthier/testing/kube';

interface JobObject {
  metadata: { name: string; uid: string; resourceVersion: string };
  spec: { suspend?: boolean };
}

/** Soon, since what comes and goes before it watches again is not seen. */
const AGAIN_MS = 50;

/** Sees every Job of a namespace, and which of them were ever let go, also over restarts of the API server. */
export class JobWitness {
  /** UIDs of the Jobs that were ever there, by name. */
  readonly made = new Map<string, Set<string>>();
  /** UIDs of those that were ever not suspended, by name. */
  readonly released = new Map<string, Set<string>>();
  private readonly ended = new AbortController();
  private readonly watching: Promise<void>;

  constructor(
    private readonly api: ControlPlane['api'],
    private readonly path: string,
  ) {
    this.watching = this.watch();
  }

  async stop(): Promise<void> {
    this.ended.abort();
    await this.watching;
  }

  private async watch(): Promise<void> {
    const { signal } = this.ended;
    let resourceVersion: string | undefined;
    while (!signal.aborted) {
      try {
        if (resourceVersion === undefined) {
          const list = await this.api.get<{ items: JobObject[]; metadata: { resourceVersion: string } }>(this.path);
          list.items.forEach((job) => this.note(job));
          ({ resourceVersion } = list.metadata);
        }
        for await (const { type, object } of this.api.watch<JobObject>(this.path, { resourceVersion }, signal)) {
          if (type === 'ERROR') throw new Error(`the watch of Jobs was ended: ${JSON.stringify(object)}`);
          this.note(object);
          ({ resourceVersion } = object.metadata);
        }
      } catch {
        resourceVersion = undefined; // an API server that was started anew knows no history
        await sleep(AGAIN_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  private note({ metadata: { name, uid }, spec }: JobObject): void {
    add(this.made, name, uid);
    if (spec.suspend !== true) add(this.released, name, uid);
  }
}

const add = (to: Map<string, Set<string>>, name: string, uid: string): void =>
  void to.set(name, (to.get(name) ?? new Set()).add(uid));

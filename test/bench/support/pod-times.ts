import type { ControlPlane, Pod } from '@luthier/testing/kube';

/** When the API first told that a run's pod runs, and that it has ended. */
export class PodTimes {
  readonly running = new Map<string, number>();
  readonly ended = new Map<string, number>();
  /** The newest pod of each run. */
  readonly pods = new Map<string, Pod>();
  private readonly stopped = new AbortController();
  private readonly watching: Promise<void>;

  private constructor(
    private readonly api: ControlPlane['api'],
    private readonly path: string,
    resourceVersion: string,
  ) {
    this.watching = this.watch(resourceVersion);
  }

  static async start(api: ControlPlane['api'], namespace: string): Promise<PodTimes> {
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const { metadata } = await api.get<{ metadata: { resourceVersion: string } }>(path);
    return new PodTimes(api, path, metadata.resourceVersion);
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.watching;
  }

  private async watch(resourceVersion: string): Promise<void> {
    const { signal } = this.stopped;
    try {
      for await (const { object } of this.api.watch<Pod>(this.path, { resourceVersion }, signal)) this.note(object);
    } catch (cause) {
      if (!signal.aborted) throw cause;
    }
  }

  private note(pod: Pod): void {
    const runId = pod.metadata.labels?.['luthier.dev/run-id'];
    if (runId === undefined) return;
    this.pods.set(runId, pod);
    const { phase } = pod.status ?? {};
    if (phase === 'Running' && !this.running.has(runId)) this.running.set(runId, performance.now());
    if ((phase === 'Succeeded' || phase === 'Failed') && !this.ended.has(runId)) {
      this.ended.set(runId, performance.now());
    }
  }
}

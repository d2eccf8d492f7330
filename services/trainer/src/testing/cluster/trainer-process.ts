import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { ClusterSettings } from '../../kubernetes/cluster-profile.js';
import { TRAINER } from '../harness.js';
import type { TrainingCluster } from './training-cluster.js';

/** A trainer as a process of its own, as in a pod. */
export class TrainerProcess {
  private said = '';

  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
  ) {
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.said = (this.said + String(chunk)).slice(-8_000)));
  }

  /** @param port of its run endpoint. */
  static start(place: TrainingCluster, port: number, settings: ClusterSettings): TrainerProcess {
    const env = place.harness.environment({
      LUTHIER_TRAINER_EXECUTOR: 'kubernetes',
      LUTHIER_TRAINER_CLUSTER: JSON.stringify(settings),
      LUTHIER_TRAINER_ENDPOINT_URL: place.front.url,
      LUTHIER_TRAINER_ENDPOINT_PORT: String(port),
      LUTHIER_TRAINER_DELIVERY_TIMEOUT_MS: '600000',
      LUTHIER_HTTP_PORT: '0',
      LUTHIER_LOG_LEVEL: 'info',
    });
    return new TrainerProcess(spawn(process.execPath, [TRAINER], { env, stdio: ['ignore', 'pipe', 'pipe'] }), port);
  }

  /** What it has logged, the newest of it. */
  get log(): string {
    return this.said;
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** SIGSTOP: it hangs; nothing of it is closed. */
  hang(): void {
    this.child.kill('SIGSTOP');
  }

  goOn(): void {
    this.child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    if (this.ended) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newId } from '@luthier/contracts';
import type { RunSpec } from '@luthier/contracts';
import { steadyPort, waitFor } from '@luthier/testing';
import { startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, ControlPlaneOptions, FakeKubelet } from '@luthier/testing/kube';
import { JOB } from '../../../services/trainer/src/kubernetes/carriers/job.js';
import { clusterProfile } from '../../../services/trainer/src/kubernetes/cluster-profile.js';
import { renderChildren } from '../../../services/trainer/src/kubernetes/render/children.js';
import { renderRoot } from '../../../services/trainer/src/kubernetes/render/root.js';
import { JobWitness } from '../../../services/trainer/src/testing/cluster/job-witness.js';
import { TRAINER, TrainerHarness } from '../../../services/trainer/src/testing/harness.js';
import { between, readCpuSeconds } from './cpu-seconds.js';
import type { CpuSeconds } from './cpu-seconds.js';
import { MetricText } from './metric-text.js';
import { PodTimes } from './pod-times.js';

const BARE_CALLS = fileURLToPath(new URL('bare-calls.mjs', import.meta.url));
const AT_ONCE = 100;
const MINUTES = 60_000;
const PROFILE = clusterProfile.parse({
  ...{ name: 'gpu', runtime: 'fake', image: `example.test/runtime@sha256:${'a'.repeat(64)}`, command: ['runner'] },
  ...{ runtimeCommand: ['runtime'], deviceResource: 'nvidia.com/gpu', serviceAccount: 'default', cpus: 8 },
  capabilities: {
    ...{ runtime: 'fake', version: '1', modes: ['train'], architectures: ['LlamaForCausalLM'] },
    ...{ methods: ['supervised'], tunings: ['full'], precisions: ['fp32'], engines: [{ name: 'fake', usable: true }] },
  },
  memoryMib: 16_384,
});

/** How a cluster came from nothing to all runs running. */
export interface Rollout {
  /** Until every run has its objects and its Job is let go. */
  seconds: number;
  /** Until every pod runs. Only then have the other programs done the same work, whoever made the objects. */
  runningSeconds: number;
  /** Which program worked how much until then. */
  cpuSeconds: CpuSeconds;
}

/** A trainer as a process of its own, ready and idle. */
export interface BenchTrainer {
  readonly pid: number | undefined;
  metrics(): Promise<MetricText>;
  /** Proportional set size: of shared pages its part. */
  pssMib(): Promise<number>;
  stop(): Promise<void>;
}

/** How many nodes there are and how often each says that it lives, on a control plane with these options. */
interface BenchSetup extends ControlPlaneOptions {
  nodes: number;
  heartbeatMs: number;
}

/** Many fake GPU nodes on a real control plane, a real NATS, and what the bench does there. */
export class BenchCluster {
  private constructor(
    readonly plane: ControlPlane,
    readonly kubelet: FakeKubelet,
    readonly harness: TrainerHarness,
  ) {}

  static async start({ nodes, heartbeatMs, ...options }: BenchSetup): Promise<BenchCluster> {
    const [plane, harness] = await Promise.all([startControlPlane(options), TrainerHarness.start()]);
    const names = Array.from({ length: nodes }, (_, index) => ({ name: `bench-${index}` }));
    const kubelet = await plane.startKubelet({ nodes: names, heartbeatMs, fateOf: () => ({ type: 'run' }) });
    return new BenchCluster(plane, kubelet, harness);
  }

  async stop(): Promise<void> {
    await this.plane.stop();
    await this.harness.stop();
  }

  specs(count: number, over: Partial<RunSpec> = {}): RunSpec[] {
    return Array.from({ length: count }, () => ({
      runId: newId('run'),
      owner: { kind: 'job' as const, id: newId('job') },
      ...{ attempt: 1, generation: 1, desired: 'running' as const, stopGraceSeconds: 10, checkpointRequest: 0 },
      ...{ requestUri: 'artifact://runs/bench/request.json', requestSha256: 'a'.repeat(64), runtime: 'fake' },
      ...{ profile: 'gpu', queue: 'internal' as const, priority: 0, deadlineSeconds: 86_400 },
      resources: { nodes: 1, devicesPerNode: 1, deviceMemoryMib: 40_000, cpu: 1, memoryMib: 1_024, scratchMib: 64 },
      ...over,
    }));
  }

  /** Puts all of them, many at a time. */
  async put(specs: readonly RunSpec[]): Promise<void> {
    for (let from = 0; from < specs.length; from += AT_ONCE)
      await Promise.all(specs.slice(from, from + AT_ONCE).map((spec) => this.harness.runs.put('spec', spec)));
  }

  /** Runs that are over and stay in the bucket for a day. */
  async putFinished(count: number): Promise<void> {
    const specs = this.specs(count, { closed: true });
    for (let from = 0; from < specs.length; from += AT_ONCE)
      await Promise.all(
        specs.slice(from, from + AT_ONCE).map(async (spec) => {
          const status = { runId: spec.runId, attempt: 1, incarnation: 1, observedGeneration: 1, pods: [] };
          const told = { phase: 'ended' as const, reason: 'succeeded' as const, message: 'The run has succeeded.' };
          await this.harness.runs.compareAndSet('status', { ...status, ...told }, 0);
          await this.harness.runs.put('spec', spec);
        }),
      );
  }

  /** The next measurement begins with an empty bucket. */
  async forgetRuns(): Promise<void> {
    const { runs } = this.harness;
    const ids = (await runs.list('spec')).map(({ runId }) => runId);
    for (let from = 0; from < ids.length; from += AT_ONCE)
      await Promise.all(
        ids.slice(from, from + AT_ONCE).flatMap((id) => [runs.delete('spec', id), runs.delete('status', id)]),
      );
  }

  async startTrainer(namespace: string): Promise<BenchTrainer> {
    const port = await steadyPort();
    const settings = { ...{ namespace, kubeconfig: this.plane.kubeconfig }, requestsPerSecond: 0, profiles: [PROFILE] };
    const env = {
      PATH: process.env['PATH'],
      ...this.harness.environment({
        LUTHIER_TRAINER_EXECUTOR: 'kubernetes',
        LUTHIER_TRAINER_CLUSTER: JSON.stringify({ ...settings, leaseSeconds: 15 }),
        LUTHIER_HTTP_PORT: String(port),
      }),
    };
    const folder = process.env['LUTHIER_BENCH_PROFILE'];
    const profile = folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`];
    const child = spawn(process.execPath, [...profile, TRAINER], { env, stdio: ['ignore', 'inherit', 'inherit'] });
    const metrics = async (): Promise<MetricText> =>
      new MetricText(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
    await waitFor(async () => (await metrics()).sum('luthier_kube_leader') === 1, {
      ...{ timeoutMs: MINUTES, intervalMs: 100, what: 'the trainer to decide' },
    });
    return { pid: child.pid, metrics, pssMib: () => pssMib(child.pid), stop: () => endOf(child, 'SIGTERM') };
  }

  /** From `begin` until every Job of the namespace was let go, and until its pods run. @param maker who makes them */
  async rollOut(
    { namespace, count, maker, pods }: { namespace: string; count: number; maker: number | undefined; pods: PodTimes },
    begin: () => Promise<void>,
  ): Promise<Rollout> {
    const pids = { maker, ...(await this.plane.pids()), nats: this.harness.nats.pid, 'bench and nodes': process.pid };
    const before = await readCpuSeconds(pids);
    const witness = new JobWitness(this.plane.api, `/apis/batch/v1/namespaces/${namespace}/jobs`);
    const began = performance.now();
    try {
      await begin();
      const all = (): boolean => witness.released.size >= count;
      await waitFor(all, { timeoutMs: 15 * MINUTES, intervalMs: 5, what: `${count} Jobs to be let go` });
      const seconds = (performance.now() - began) / 1_000;
      const run = (): boolean => pods.running.size >= count;
      await waitFor(run, { timeoutMs: 15 * MINUTES, intervalMs: 20, what: `${count} pods to run` });
      const runningSeconds = (performance.now() - began) / 1_000;
      return { seconds, runningSeconds, cpuSeconds: between(before, await readCpuSeconds(pids)) };
    } finally {
      await witness.stop();
    }
  }

  /** The peer: a process that makes the same requests for the same number of runs. */
  async bare(count: number): Promise<Rollout> {
    const namespace = await this.plane.createNamespace();
    const target = { namespace, artifactsDir: undefined };
    const runner = { endpointUrl: 'http://127.0.0.1:1', attachToken: 'a'.repeat(64), deliveryTimeoutMs: 3_000 };
    const lines = this.specs(count).map((spec) => {
      const { configMap, secret, service } = renderChildren(JOB, spec, PROFILE, target, '', runner);
      return JSON.stringify({ job: renderRoot(JOB, spec, PROFILE, target), configMap, secret, service });
    });
    const file = join(this.harness.dir, `${namespace}.jsonl`);
    await writeFile(file, `${lines.join('\n')}\n`);
    const args = [BARE_CALLS, this.plane.kubeconfig, namespace, file];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    const pods = await PodTimes.start(this.plane.api, namespace); // somebody watches them on both sides
    const rollout = await this.rollOut({ namespace, count, maker: child.pid, pods }, () =>
      Promise.resolve(void child.stdin.write('go\n')),
    );
    child.stdin.end();
    await endOf(child);
    await pods.stop();
    await this.clear(namespace);
    return rollout;
  }

  /** Removes all that was made in a namespace, so that the next measurement begins as this one did. */
  async clear(namespace: string): Promise<void> {
    const { api } = this.plane;
    const within = `namespaces/${namespace}`;
    const emptied = [`/apis/batch/v1/${within}/jobs`, `/api/v1/${within}/pods`];
    const owned = ['configmaps', 'secrets', 'services'].map((kind) => `/api/v1/${within}/${kind}`);
    const isEmpty = async (path: string): Promise<boolean> => {
      const query = { limit: 1, labelSelector: 'luthier.dev/run-id' };
      return (await api.get<{ items: unknown[] }>(path, query)).items.length === 0;
    };
    for (const path of [...emptied, ...owned]) {
      const step = async (): Promise<boolean> => {
        if (await isEmpty(path)) return true;
        // Some at a time: a request has to be answered within its time-out.
        if (emptied.includes(path))
          await api.delete(`${path}?propagationPolicy=Background&gracePeriodSeconds=0&limit=100`);
        return false;
      };
      await waitFor(step, { timeoutMs: 10 * MINUTES, intervalMs: 200, what: `${path} to be empty` });
    }
  }
}

async function pssMib(pid: number | undefined): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN) / 1_024;
}

async function endOf(child: ChildProcess, signal?: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  if (signal) child.kill(signal);
  await once(child, 'exit');
}

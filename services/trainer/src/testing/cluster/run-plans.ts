import { idTail } from '@luthier/contracts';
import type { RunOutcome, RunStatus } from '@luthier/contracts';
import type { ArtifactStore } from '@luthier/artifacts';
import type { Behaviour } from '../harness.js';
import type { ControlPlane, FakeKubelet, Fate, Pod } from '@luthier/testing/kube';

/** What the pods of a run do, and so how the run has to end. */
export type Plan =
  /** Its runner stores an outcome without a fault. */
  | { type: 'done'; afterMs: number }
  /** Its runner stores nothing; the termination message tells. @param node of several the one that has it; absent: all */
  | { type: 'fault'; code: keyof typeof FAULTS; afterMs: number; node?: number }
  /** The kernel ends it. */
  | { type: 'killed'; afterMs: number }
  /** Trains until it is told to stop, and then saves and leaves. */
  | { type: 'obeys' }
  /** As the one before, but is only told to go on elsewhere, and comes to its end there. */
  | { type: 'moves' }
  /** Trains, and hears nothing. */
  | { type: 'deaf' }
  /** The runner and the runtime of the repository, as processes. */
  | { type: 'process'; behaviour: Partial<Behaviour> };

const FAULTS = {
  'data.bad': { exitCode: 40, reason: 'bad-data' },
  'training.diverged': { exitCode: 43, reason: 'diverged' },
};

const COMPLETION_INDEX = 'batch.kubernetes.io/job-completion-index';
const nodeOf = ({ labels }: Pod['metadata']): number => Number(labels?.[COMPLETION_INDEX] ?? 0);

/** What training would find in the status of a run that followed its plan. */
export function endOf(plan: Plan): { reason: string; code: string | undefined } {
  switch (plan.type) {
    case 'done':
    case 'moves':
    case 'process':
      return { reason: 'succeeded', code: undefined };
    case 'fault':
      return { reason: FAULTS[plan.code].reason, code: plan.code };
    case 'killed':
      return { reason: 'host-out-of-memory', code: 'host.out-of-memory' };
    case 'obeys':
      return { reason: 'stopped', code: 'runtime.interrupted' };
    case 'deaf':
      return { reason: 'stopped', code: undefined };
  }
}

export const endSeen = ({ reason, outcome }: RunStatus): { reason: string; code: string | undefined } => ({
  reason,
  code: outcome?.code,
});

const outcome = (attempt: number, code?: RunOutcome['code']): RunOutcome => ({
  ...{ attempt, incarnation: 1, message: code ?? '', step: 4, lastSeq: {}, eventFiles: [] },
  ...(code !== undefined && { code }),
});

/** Plays the runners of the runs that have a plan. */
export class PlannedRunners {
  private readonly plans = new Map<string, Plan>();

  constructor(private readonly store: ArtifactStore) {}

  add(runId: string, plan: Plan): void {
    this.plans.set(runId, plan);
  }

  async fateOf({ metadata }: Pod): Promise<Fate> {
    const runId = metadata.labels?.['luthier.dev/run-id'] ?? '';
    const attempt = Number(metadata.labels?.['luthier.dev/attempt']);
    const plan = this.plans.get(runId) ?? { type: 'deaf' };
    switch (plan.type) {
      case 'done':
        await this.leave(runId, attempt, { node: nodeOf(metadata) });
        return { type: 'end', exitCode: 0, afterMs: plan.afterMs };
      case 'moves':
        if (attempt === 1) return { type: 'run' };
        await this.leave(runId, attempt);
        return { type: 'end', exitCode: 0, afterMs: 300 };
      case 'fault': {
        if (plan.node !== undefined && plan.node !== nodeOf(metadata)) return { type: 'run' };
        const message = JSON.stringify({ code: plan.code, message: 'as planned', step: 3 });
        return { type: 'end', exitCode: FAULTS[plan.code].exitCode, message, afterMs: plan.afterMs };
      }
      case 'killed':
        return { type: 'end', exitCode: 137, reason: 'OOMKilled', afterMs: plan.afterMs };
      case 'obeys':
      case 'deaf':
        return { type: 'run' };
      case 'process':
        return { type: 'process' };
    }
  }

  /** The runner of a run that obeys saves and leaves. Nothing happens when it has left already. */
  async obey(runId: string, { api }: ControlPlane, kubelet: FakeKubelet, namespace: string): Promise<void> {
    await this.leave(runId, 1, { code: 'runtime.interrupted' });
    const labelSelector = `luthier.dev/run-id=${runId}`;
    const { items } = await api.get<{ items: Pod[] }>(`/api/v1/namespaces/${namespace}/pods`, { labelSelector });
    for (const pod of items) {
      if (pod.status?.phase === 'Running') await kubelet.end(pod, { exitCode: 60 });
    }
  }

  private async leave(
    runId: string,
    attempt: number,
    { node = 0, code }: { node?: number; code?: RunOutcome['code'] } = {},
  ): Promise<void> {
    const name = node === 0 ? 'outcome.json' : `outcome.${node}.json`;
    await this.store.put(`artifact://runs/${runId}/${attempt}/1/${name}`, JSON.stringify(outcome(attempt, code)));
  }
}

export const objectOf = (runId: string, attempt = 1): string => `ft-${idTail(runId)}-${attempt}`;

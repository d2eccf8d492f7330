import { defineResource } from '@luthier/kube';
import type { KubeObject, Reflector, V1Job } from '@luthier/kube';
import type { KueueWorkload } from './explain/index.js';

type WorkloadObject = KubeObject & Pick<KueueWorkload, 'spec' | 'status'>;

export const WORKLOADS = defineResource<WorkloadObject>({
  apiVersion: 'kueue.x-k8s.io/v1beta2',
  kind: 'Workload',
  plural: 'workloads',
  namespaced: true,
});

const JOB_UID = 'kueue.x-k8s.io/job-uid';

/** Kueue's record of each Job, by the Job's UID. */
export class RunWorkloads {
  private readonly byJob = new Map<string, WorkloadObject>();

  /** @param tell called with the UID of the Job whose record has changed. */
  constructor(reflector: Pick<Reflector<WorkloadObject>, 'onChange'>, tell: (jobUid: string) => void) {
    reflector.onChange((_key, now, before) => {
      const uid = jobUidOf(now ?? before);
      if (uid === undefined) return;
      if (now) this.byJob.set(uid, now);
      else this.byJob.delete(uid);
      tell(uid);
    });
  }

  of(job: V1Job): WorkloadObject | undefined {
    return this.byJob.get(job.metadata?.uid ?? '');
  }

  /** How long it was admitted before it was last suspended; the Job's own clock begins anew each time. */
  pastSecondsOf(job: V1Job): number {
    return this.of(job)?.status?.accumulatedPastExecutionTimeSeconds ?? 0;
  }

  /** Its place among the records that wait in its queue, from 1: higher priority first, then the older. */
  positionOf(workload: WorkloadObject): number {
    const inQueue = [...this.byJob.values()].filter(
      (other) => other === workload || (isWaiting(other) && other.spec?.queueName === workload.spec?.queueName),
    );
    // Times are whole seconds: of the same one, those that were seen earlier come first.
    return inQueue.sort(byTurn).indexOf(workload) + 1;
  }
}

const jobUidOf = (workload: WorkloadObject | undefined): string | undefined =>
  workload?.metadata?.labels?.[JOB_UID] ?? workload?.metadata?.ownerReferences?.find(({ kind }) => kind === 'Job')?.uid;

const isWaiting = ({ status, spec }: WorkloadObject): boolean =>
  spec?.active !== false &&
  !(status?.conditions ?? []).some(
    ({ type, status: is }) => (type === 'Admitted' || type === 'Finished') && is === 'True',
  );

function byTurn(a: WorkloadObject, b: WorkloadObject): number {
  const createdMs = ({ metadata }: WorkloadObject): number => Date.parse(metadata?.creationTimestamp ?? '') || 0;
  return (b.spec?.priority ?? 0) - (a.spec?.priority ?? 0) || createdMs(a) - createdMs(b);
}

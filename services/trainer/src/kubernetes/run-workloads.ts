import { defineResource } from '@luthier/kube';
import type { KubeObject, Reflector } from '@luthier/kube';
import type { Root } from './carriers/carrier.js';
import { CARRIERS } from './carriers/carriers.js';
import type { KueueWorkload } from './explain/index.js';

type WorkloadObject = KubeObject & Pick<KueueWorkload, 'spec' | 'status'>;

export const WORKLOADS = defineResource<WorkloadObject>({
  apiVersion: 'kueue.x-k8s.io/v1beta2',
  kind: 'Workload',
  plural: 'workloads',
  namespaced: true,
});

const JOB_UID = 'kueue.x-k8s.io/job-uid';

/** Kueue's record of each root object, by that one's UID. */
export class RunWorkloads {
  private readonly byRoot = new Map<string, WorkloadObject>();

  /** @param tell called with the UID of the object whose record has changed. */
  constructor(reflector: Pick<Reflector<WorkloadObject>, 'onChange'>, tell: (rootUid: string) => void) {
    reflector.onChange((_key, now, before) => {
      const uid = rootUidOf(now ?? before);
      if (uid === undefined) return;
      if (now) this.byRoot.set(uid, now);
      else this.byRoot.delete(uid);
      tell(uid);
    });
  }

  of(root: Root): WorkloadObject | undefined {
    return this.byRoot.get(root.metadata?.uid ?? '');
  }

  /** How long it was admitted before it was last suspended; the object's own clock begins anew each time. */
  pastSecondsOf(root: Root): number {
    return this.of(root)?.status?.accumulatedPastExecutionTimeSeconds ?? 0;
  }

  /** Its place among the records that wait in its queue, from 1: higher priority first, then the older. */
  positionOf(workload: WorkloadObject): number {
    const inQueue = [...this.byRoot.values()].filter(
      (other) => other === workload || (isWaiting(other) && other.spec?.queueName === workload.spec?.queueName),
    );
    // Times are whole seconds: of the same one, those that were seen earlier come first.
    return inQueue.sort(byTurn).indexOf(workload) + 1;
  }
}

const rootUidOf = (workload: WorkloadObject | undefined): string | undefined =>
  workload?.metadata?.labels?.[JOB_UID] ?? workload?.metadata?.ownerReferences?.find(isCarrier)?.uid;

const isCarrier = ({ kind }: { kind: string }): boolean => CARRIERS.some(({ resource }) => resource.kind === kind);

const isWaiting = ({ status, spec }: WorkloadObject): boolean =>
  spec?.active !== false &&
  !(status?.conditions ?? []).some(
    ({ type, status: is }) => (type === 'Admitted' || type === 'Finished') && is === 'True',
  );

function byTurn(a: WorkloadObject, b: WorkloadObject): number {
  const createdMs = ({ metadata }: WorkloadObject): number => Date.parse(metadata?.creationTimestamp ?? '') || 0;
  return (b.spec?.priority ?? 0) - (a.spec?.priority ?? 0) || createdMs(a) - createdMs(b);
}

import { CODE_OF_REASON, OUTCOME_ORDER } from '@luthier/contracts';
import type { ErrorCode, RunParams, RunReason } from '@luthier/contracts';
import { shortText } from './excerpt.js';
import { conditionIs } from './facts.js';
import type { PodFacts } from './facts.js';
import { readContainerEnd } from './termination.js';

/** How one pod ended, or what one process said of its end. */
export interface Fault {
  code: ErrorCode | undefined;
  reason: RunReason;
  params: RunParams;
  /** Its own words. */
  message?: string;
  hint?: string;
  step?: number;
  /** The cluster's words. */
  text: string;
  avoidNode?: string;
}

const REASON_OF_CODE: Partial<Record<ErrorCode, RunReason>> = {
  'data.bad': 'bad-data',
  'config.bad': 'bad-configuration',
  'device.out-of-memory': 'device-out-of-memory',
  'host.out-of-memory': 'host-out-of-memory',
  'training.diverged': 'diverged',
  'model.unreadable': 'model-unreadable',
  'disk.full': 'disk-full',
  'storage.unreachable': 'storage-unreachable',
  'collective.failed': 'collective-failed',
  'runtime.killed': 'killed',
  'runtime.crashed': 'crashed',
  'runtime.interrupted': 'interrupted',
  'cluster.gpu-fault': 'gpu-fault',
  'run.deadline-exceeded': 'deadline-exceeded',
  'run.stalled': 'stalled',
};
/** A code that has no reason of its own is `failed`; the code says the rest. */
export const reasonOfCode = (code: ErrorCode | undefined): RunReason =>
  code === undefined ? 'succeeded' : (REASON_OF_CODE[code] ?? 'failed');

/** Place in the order of contracts: small is more telling, success is last; a code outside the order is first. */
export const rankOf = (code: ErrorCode | undefined): number =>
  code === undefined ? OUTCOME_ORDER.length : OUTCOME_ORDER.indexOf(code);

/** @param pod has ended, or is on its way out. */
export function readPodEnd(pod: PodFacts): Fault {
  const faults = [...faultsOfContainers(pod), ...faultsOfPod(pod)].sort((a, b) => rankOf(a.code) - rankOf(b.code));
  const [first] = faults;
  if (pod.phase === 'Succeeded' || (!first && pod.phase !== 'Failed')) {
    return pod.phase === 'Succeeded'
      ? { code: undefined, reason: 'succeeded', params: {}, text: '' }
      : { code: 'runtime.interrupted', reason: 'interrupted', params: {}, text: pod.message };
  }
  return first ?? { code: 'runtime.crashed', reason: 'crashed', params: {}, text: pod.message };
}

function faultsOfContainers(pod: PodFacts): Fault[] {
  return pod.containers.flatMap((container): Fault[] => {
    const end = readContainerEnd(container);
    if (end?.code === undefined) return [];
    const { code, xid, step, ...rest } = end;
    const faulty = code === 'cluster.gpu-fault';
    return [
      {
        ...rest,
        code,
        reason: reasonOfCode(code),
        params: {
          ...(step !== undefined && { step }),
          ...(code === 'host.out-of-memory' && pod.memoryLimit !== '' && { limit: shortText(pod.memoryLimit) }),
          ...(faulty && onNode(pod)),
          ...(xid !== undefined && { xid }),
        },
        ...(step !== undefined && { step }),
        ...(faulty && avoiding(pod)),
      },
    ];
  });
}

const onNode = ({ node }: PodFacts): RunParams => (node === '' ? {} : { node: shortText(node) });
const avoiding = ({ node }: PodFacts): { avoidNode?: string } => (node === '' ? {} : { avoidNode: node });

const AVOIDED: readonly RunReason[] = ['node-lost', 'node-refused', 'node-pressure'];

/** What the cluster did to the pod, by its own word. */
function faultsOfPod(pod: PodFacts): Fault[] {
  const disruption = conditionIs(pod.conditions, 'DisruptionTarget', 'True');
  const reason = reasonOfDisruption(disruption?.reason, pod) ?? reasonOfPod(pod.reason);
  if (!reason) return [];
  const text = pod.message || (disruption?.message ?? '');
  return [
    {
      code: CODE_OF_REASON[reason] ?? 'runtime.killed',
      reason,
      params: { ...onNode(pod), ...detailsOf(reason, text) },
      text,
      ...(AVOIDED.includes(reason) && avoiding(pod)),
    },
  ];
}

type PodReason = 'preempted' | 'evicted' | 'node-pressure' | 'node-lost' | 'node-refused' | 'deadline-exceeded';

function reasonOfDisruption(reason: string | undefined, pod: PodFacts): PodReason | undefined {
  switch (reason) {
    case undefined:
      return undefined;
    case 'PreemptionByScheduler':
      return 'preempted';
    case 'DeletionByPodGC':
    case 'DeletionByTaintManager':
      return 'node-lost';
    case 'TerminationByKubelet':
      if (/critical pod/i.test(pod.message)) return 'preempted';
      return /shutdown|shutting down/i.test(pod.reason + pod.message) ? 'evicted' : 'node-pressure';
    default:
      return 'evicted'; // EvictionByEvictionAPI, and what will be added
  }
}

function reasonOfPod(reason: string): PodReason | undefined {
  if (reason === 'Evicted') return 'node-pressure';
  if (reason === 'NodeLost') return 'node-lost';
  if (reason === 'Preempting') return 'preempted';
  if (reason === 'NodeShutdown' || reason === 'Shutdown' || reason === 'Terminated') return 'evicted';
  if (reason === 'DeadlineExceeded') return 'deadline-exceeded';
  return /^(?:UnexpectedAdmissionError|OutOf\S+|NodeAffinity|TopologyAffinityError|AdmissionError)$/.test(reason)
    ? 'node-refused'
    : undefined;
}

function detailsOf(reason: PodReason, text: string): RunParams {
  if (reason === 'node-pressure') {
    const resource =
      /low on resource: ([a-z-]{1,40})/.exec(text)?.[1] ??
      (/emptyDir|ephemeral/i.test(text) ? 'ephemeral-storage' : undefined);
    return resource === undefined ? {} : { resource };
  }
  return reason === 'node-refused' && text !== '' ? { cause: shortText(text) } : {};
}

/** What kept a pod from a node, counted in nodes, from the scheduler's sentence. */
export interface SchedulerVerdict {
  nodes: number;
  /** Nodes without enough free devices. */
  gpus: number;
  /** Nodes without enough of another resource, and its name. */
  other: number;
  resource: string | undefined;
  /** Nodes that are of another kind: labels, taints, topology. */
  mismatched: number;
  /** Nodes that are out of service. */
  unready: number;
  volume: boolean;
  /** The first reason that is about the kind of node. */
  cause: string | undefined;
}

const MAX_TEXT = 8 * 1_024;
const MAX_CLAUSES = 64;
const TOTAL = /(\d{1,7})\/(\d{1,7}) nodes are available/;
const CLAUSE = /^(?:(\d{1,7}) )?(.+)$/;
/** What follows is about making room, or about claims, and repeats the nodes. */
const TAIL = /\.? (?:preemption:|no new claims to deallocate|PodGroup \S+ gets rejected).*$/s;
const VOLUME = /persistentvolumeclaim|volume node affinity|volume\(s\)|free disk volumes|unbound immediate/i;
const OUT_OF_SERVICE =
  /were unschedulable|node\.kubernetes\.io\/(?:unreachable|not-ready|unschedulable)|were not ready/i;
const OTHER_KIND =
  /node affinity|node selector|affinity\/selector|untolerated taint|topology|node\(s\) didn't (?:match|satisfy)/i;

/**
 * Reads sentences like "0/2 nodes are available: 2 Insufficient nvidia.com/gpu. preemption: ..." and those of dynamic
 * resource allocation ("cannot allocate all claims").
 */
export function readSchedulerText(text: string, gpuResource: string): SchedulerVerdict {
  const verdict: SchedulerVerdict = {
    nodes: 0,
    gpus: 0,
    other: 0,
    resource: undefined,
    mismatched: 0,
    unready: 0,
    volume: false,
    cause: undefined,
  };
  const read = text.slice(0, MAX_TEXT);
  const total = TOTAL.exec(read);
  verdict.nodes = Number(total?.[2] ?? 0);
  const body = (total ? read.slice(total.index + total[0].length) : read).replace(TAIL, '').replace(/^:\s*/, '');
  for (const part of body.split(', ').slice(0, MAX_CLAUSES)) {
    const [, count, words = ''] = CLAUSE.exec(part.trim()) ?? [];
    if (words !== '')
      addClause(verdict, words.replace(/\.$/, ''), count === undefined ? 1 : Number(count), gpuResource);
  }
  return verdict;
}

export const tellsWhy = ({ gpus, other, mismatched, unready, volume }: SchedulerVerdict): boolean =>
  volume || gpus + other + mismatched + unready > 0;

function addClause(verdict: SchedulerVerdict, words: string, count: number, gpuResource: string): void {
  const lacking = /^Insufficient (\S+)/.exec(words)?.[1];
  if (lacking === gpuResource || /cannot allocate all claims/.test(words)) {
    verdict.gpus += count;
  } else if (lacking !== undefined || words.startsWith('Too many pods')) {
    verdict.other += count;
    verdict.resource ??= lacking ?? 'pods';
  } else if (VOLUME.test(words)) {
    verdict.volume = true;
  } else if (OUT_OF_SERVICE.test(words)) {
    verdict.unready += count;
  } else if (OTHER_KIND.test(words)) {
    verdict.mismatched += count;
    verdict.cause ??= words;
  }
}

import type { Reflector, V1Node, V1ResourceSlice } from '@luthier/kube';
import type { ViewedNode } from './explain/index.js';
import type { SilentNode } from './observe-attempt.js';

/**
 * The nodes as runs are judged by them. Every look at a run asks, and there are hundreds of nodes whose heartbeats change
 * them all the time: a view is made anew only when it is asked for after a change that it shows.
 */
export class NodeViews {
  private readonly silentNodes = new Map<string, SilentNode>();
  private readonly byResource = new Map<string, ViewedNode[]>();

  constructor(
    private readonly nodes: Pick<Reflector<V1Node>, 'list' | 'onChange'>,
    private readonly slices: Pick<Reflector<V1ResourceSlice>, 'list' | 'onChange'>,
  ) {
    slices.onChange(() => this.byResource.clear());
    for (const node of nodes.list()) this.noteSilence(nameOf(node), node);
    nodes.onChange((name, now, before) => {
      this.noteSilence(name, now);
      if (!now || !before || shownOf(now) !== shownOf(before)) this.byResource.clear();
    });
  }

  /** Nodes that do not answer. */
  silent(): SilentNode[] {
    return [...this.silentNodes.values()];
  }

  /** All nodes, with what they have of a resource. */
  with(resource: string | undefined): readonly ViewedNode[] {
    const known = this.byResource.get(resource ?? '');
    if (known) return known;
    // Devices that a driver hands out by claims are not counted by the node: of them nothing is called too few here.
    const claimed = new Set(this.slices.list().map(({ spec }) => spec.nodeName));
    const views = this.nodes.list().map((node) => viewOf(node, claimed.has(nameOf(node)) ? undefined : resource));
    this.byResource.set(resource ?? '', views);
    return views;
  }

  private noteSilence(name: string, node: V1Node | undefined): void {
    const ready = node && readyOf(node);
    if (ready?.status !== 'Unknown') this.silentNodes.delete(name);
    else this.silentNodes.set(name, { name, sinceMs: Date.parse(ready.lastTransitionTime ?? '') || 0 });
  }
}

const nameOf = ({ metadata }: V1Node): string => metadata?.name ?? '';
const readyOf = ({ status }: V1Node) => status?.conditions?.find(({ type }) => type === 'Ready');

/** All that views show of a node. */
function shownOf(node: V1Node): string {
  const { status, lastTransitionTime } = readyOf(node) ?? {};
  return JSON.stringify([status, lastTransitionTime, node.status?.allocatable, node.status?.capacity]);
}

function viewOf(node: V1Node, resource: string | undefined): ViewedNode {
  const ready = readyOf(node);
  const devices = resource === undefined ? undefined : Number(node.status?.allocatable?.[resource] ?? 0);
  const broken = resource === undefined ? 0 : Number(node.status?.capacity?.[resource] ?? 0) - (devices ?? 0);
  return {
    name: nameOf(node),
    // Not ready, but it says so itself: what runs there still answers.
    ready: ready?.status !== 'Unknown',
    ...(broken > 0 && { brokenGpus: broken }),
    ...(ready?.lastTransitionTime !== undefined && { since: Date.parse(ready.lastTransitionTime) }),
    ...(devices !== undefined && { gpus: devices }),
  };
}
